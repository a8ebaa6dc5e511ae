/**
 * npm run fuzz -- [MINUTES] [IMPORTER]: damages the fixtures in ways that know their structure, for as long as asked.
 * Finds what throws, what takes too long for its size, what never ends and what fills the memory; keeps each such file
 * in fixtures/fuzz-found, from where it becomes a test. Exits with 1 when there was one.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { packageRoot } from "../../collectors/package-root.js";
import { importers } from "../import/registry.js";
import { loadSeeds } from "./seeds.js";
import { caseOf, type Message, type WorkerData } from "./worker.js";

/** Milliseconds that one case may take, however busy the machine. */
const LONGEST_CASE = 60_000;
/** Megabytes of the heap of a worker, and of the whole process. */
const LARGEST_HEAP = 512;
const LARGEST_PROCESS = 1024;

interface Found {
  number: number;
  seed: string;
  what: string;
}

const [minutes = "10", only = null] = process.argv.slice(2);
if (!(Number(minutes) > 0) || (only !== null && !importers.some(({ name }) => name === only))) {
  process.stderr.write(`usage: npm run fuzz -- [MINUTES] [${importers.map(({ name }) => name).join(" | ")}]\n`);
  process.exit(2);
}

/** Runs cases from a number on until one ends the worker or the time is up. @returns the next case's number */
function runFrom(from: number, until: number, found: Found[], counts: Map<string, number>): Promise<number> {
  return new Promise((resolve) => {
    const data: WorkerData = { importer: only, from };
    const worker = new Worker(new URL("worker.js", import.meta.url), {
      workerData: data,
      resourceLimits: { maxOldGenerationSizeMb: LARGEST_HEAP },
    });
    let current: { number: number; seed: string } = { number: from, seed: "" };
    let since = Date.now();
    const end = (what: string | null) => {
      clearInterval(watch);
      if (what !== null) found.push({ ...current, what });
      void worker.terminate().then(() => resolve(current.number + 1));
    };
    const watch = setInterval(() => {
      if (Date.now() > until) end(null);
      else if (Date.now() - since > LONGEST_CASE) end(`no end after ${LONGEST_CASE / 1000} s`);
    }, 1000);
    worker.on("message", (message: Message) => {
      if (message.kind === "case") {
        current = message;
        since = Date.now();
        counts.set(message.importer, (counts.get(message.importer) ?? 0) + 1);
      } else if (message.kind === "found") found.push({ ...message, what: message.message });
      else if (message.megabytes > LARGEST_PROCESS) end(`${message.megabytes} MB in memory`);
    });
    worker.on("error", (error) => end(error.message));
  });
}

const found: Found[] = [];
const counts = new Map<string, number>();
const until = Date.now() + Number(minutes) * 60_000;
let next = Math.trunc(Math.random() * 1_000_000_000);
let told = 0;
while (Date.now() < until) {
  next = await runFrom(next, until, found, counts);
  for (const { number, seed, what } of found.slice(told)) process.stdout.write(`${number} ${seed}: ${what}\n`);
  told = found.length;
}

const seeds = await loadSeeds(only);
const folder = fileURLToPath(new URL("fixtures/fuzz-found/", packageRoot()));
for (const { number } of found.slice(0, 20)) {
  mkdirSync(folder, { recursive: true });
  const { seed, bytes } = caseOf(seeds, number);
  writeFileSync(`${folder}${seed.importer.name.replace(/\W/g, "-")}-${number}.bin`, bytes);
}
for (const [name, count] of counts) process.stdout.write(`${name}: ${count} cases\n`);
process.stdout.write(`${found.length} found\n`);
process.exitCode = found.length > 0 ? 1 : 0;
