/** Runs cases one after the other, and says before each which it is: should it never end, others know. */
import { parentPort, workerData } from "node:worker_threads";
import fc from "fast-check";
import { checkCase } from "./check-case.js";
import { mutated } from "./mutations.js";
import { loadSeeds, type Seed } from "./seeds.js";

export interface WorkerData {
  importer: string | null;
  /** Number of the first case. */
  from: number;
}

export type Message =
  | { kind: "case"; number: number; seed: string; importer: string; bytes: number }
  | { kind: "found"; number: number; seed: string; message: string }
  | { kind: "memory"; number: number; megabytes: number };

/** The case of a number: which file, damaged how. The same number gives the same bytes. */
export function caseOf(seeds: readonly Seed[], number: number): { seed: Seed; bytes: Buffer } {
  const seed = seeds[number % seeds.length]!;
  const [bytes] = fc.sample(mutated(seed.bytes), { numRuns: 1, seed: number });
  return { seed, bytes: bytes! };
}

async function work(port: NonNullable<typeof parentPort>, { importer, from }: WorkerData): Promise<void> {
  const seeds = await loadSeeds(importer);
  for (let number = from; ; number++) {
    const { seed, bytes } = caseOf(seeds, number);
    const said = { number, seed: seed.name };
    port.postMessage({ kind: "case", ...said, importer: seed.importer.name, bytes: bytes.length } satisfies Message);
    try {
      await checkCase(seed.importer, bytes);
    } catch (error) {
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
      port.postMessage({ kind: "found", ...said, message } satisfies Message);
    }
    const megabytes = Math.round(process.memoryUsage().rss / 2 ** 20);
    if (number % 100 === 0) port.postMessage({ kind: "memory", number, megabytes } satisfies Message);
  }
}

if (parentPort) await work(parentPort, workerData as WorkerData);
