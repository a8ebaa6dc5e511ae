/** Sound files to damage, by importer: the fixtures. */
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { packageRoot } from "../../collectors/package-root.js";
import { openInput } from "../import/input.js";
import { importers } from "../import/registry.js";
import type { Importer } from "../import/trace-event.js";

export interface Seed {
  /** Below fixtures/. */
  name: string;
  importer: Importer;
  bytes: Buffer;
}

const FOLDERS = [".", "one-run-perf", "one-run-bpftrace", "ftrace-forms", "fuzz-found"];
const TRACE = /\.(?:dat|data|txt|ndjson|log|bin)(?:\.xz)?$|(?<!\.truth)\.json$/;
/** Of larger files most cases would damage the same kind of bytes. */
const LARGEST = 2 << 20;
/** Per importer and folder: many fixtures are alike. */
const MOST = 12;

/** @param only name of an importer; null: all */
export async function loadSeeds(only: string | null): Promise<Seed[]> {
  const root = fileURLToPath(new URL("fixtures/", packageRoot()));
  const seeds: Seed[] = [];
  for (const folder of FOLDERS) {
    const counts = new Map<Importer, number>();
    for (const file of listed(`${root}${folder}`)) {
      const name = `${folder}/${file}`;
      const input = await openInput(root + name);
      const importer = importers.find((candidate) => candidate.sniff(input.head));
      const count = importer ? (counts.get(importer) ?? 0) : MOST;
      if (importer && count < MOST && (only === null || importer.name === only) && (input.size ?? 0) <= LARGEST) {
        counts.set(importer, count + 1);
        seeds.push({ name, importer, bytes: Buffer.from(input.read(0, input.size ?? 0)) });
      }
      input.close();
    }
  }
  return seeds;
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => TRACE.test(name));
  } catch {
    return [];
  }
}
