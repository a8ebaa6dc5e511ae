/**
 * How fast and in how much memory `ktally analyze` works: whole runs, database and report included, beside
 * `trace-cmd report` on the same files. The traces are made of the bundled recordings' own pages, repeated.
 */

import { mkdtempSync, rmSync, statSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { defaultCatalog } from "../../collectors/catalog/default.js";
import { packageRoot } from "../../collectors/package-root.js";
import { Decoder } from "../decode/decoder.js";
import { repeated, writeBigTrace } from "./big-trace.js";
import { type Run, runKtally, runOther } from "./measure.js";
import { filterPages } from "./pages.js";
import { type Recording, readRecording } from "./recording.js";
import { measureScreens } from "./screens.js";

/** A kind of trace to measure on. */
interface Load {
  name: string;
  /** Whether every event is kept in a database (`--db`). */
  keeps: boolean;
  recording: Recording;
}

const { values } = parseArgs({
  options: {
    events: { type: "string", default: "3000000" },
    runs: { type: "string", default: "3" },
    screens: { type: "boolean", default: false },
  },
});
const events = wholeNumber("--events", values.events);
const runs = wholeNumber("--runs", values.runs);

const folder = mkdtempSync(join(tmpdir(), "ktally-bench-"));
try {
  await main();
} finally {
  rmSync(folder, { recursive: true });
}

async function main(): Promise<void> {
  if (values.screens) return screens();
  const hasTraceCmd = (await runOther("trace-cmd", ["--version"])) !== null;
  if (!hasTraceCmd) say("trace-cmd is not installed, so there is nothing to compare with: its columns stay empty.");
  say(`Medians of ${runs} runs of whole processes; ktally writes its report, and with --db every event into SQLite.\n`);
  row("trace", "size", "events", "ktally", "trace-cmd", "ratio", "peak memory");
  for (const load of await loads()) {
    for (const times of [1, 3]) await measure(load, times, hasTraceCmd);
  }
  await screens();
}

/** The terminal UI on a database of 5 million events (`--screens` alone; else after the rest). */
async function screens(): Promise<void> {
  const trace = join(folder, "trace.dat");
  const db = join(folder, "audit.db");
  const count = writeBigTrace(trace, await bundled("clean-6.1"), 5_000_000);
  await runKtally(["analyze", "--quiet", "--db", db, trace]);
  say(
    `\nktally tui on ${count.toLocaleString("en")} events (a database of ${Math.round(statSync(db).size / 1e6)} MB), at 200x60:`,
  );
  const [load = 0] = loadavg();
  if (load > cpus().length / 2) say(`(the machine is busy: ${load.toFixed(0)} tasks want its ${cpus().length} CPUs)`);
  const answers = await measureScreens(db);
  if (answers === null) say("script (util-linux) is not installed: there is no terminal to measure in.");
  else for (const { what, milliseconds } of answers) row(what.padEnd(44), `${Math.round(milliseconds)} ms`);
}

async function measure(load: Load, times: number, hasTraceCmd: boolean): Promise<void> {
  const path = join(folder, "trace.dat");
  const count = writeBigTrace(path, load.recording, events * times);
  const report = ["analyze", path, "--format", "json", "--output", join(folder, "report.json")];
  if (load.keeps) report.push("--db", join(folder, "audit.db"));
  const ours: Run[] = [];
  const theirs: Run[] = [];
  // In turns, so that whatever else the machine does meets both alike.
  for (let turn = 0; turn < (times === 1 ? runs : 1); turn++) {
    ours.push(await runKtally(report));
    const other = hasTraceCmd && times === 1 ? await runOther("trace-cmd", ["report", path]) : null;
    if (other) theirs.push(other);
  }
  const seconds = median(ours.map((run) => run.seconds));
  const other = theirs.length > 0 ? median(theirs.map((run) => run.seconds)) : null;
  row(
    times === 1 ? load.name : `${load.name}, ${times} times as long`,
    `${Math.round(statSync(path).size / 1e6)} MB`,
    count.toLocaleString("en"),
    `${rate(count / seconds)}`,
    other === null ? "" : rate(count / other),
    other === null ? "" : `${(other / seconds).toFixed(1)}x`,
    `${Math.round(median(ours.map((run) => run.peakBytes ?? 0)) / 1e6)} MB`,
  );
  const failed = ours.find((run) => run.exit === 2 || run.exit === null);
  if (failed) say(`ktally ended with ${failed.exit}: these numbers mean nothing.`);
}

async function loads(): Promise<Load[]> {
  // Several rounds at once: so their pages are filled in spite of what is left out.
  const noisy = repeated(await bundled("noisy-6.1"), 100);
  const clean = await bundled("clean-6.1");
  return [
    { name: "irrelevant", keeps: false, recording: withRelevant(noisy, 0) },
    { name: "2 % relevant", keeps: false, recording: withRelevant(noisy, 0.02) },
    { name: "relevant", keeps: false, recording: clean },
    { name: "relevant, --db", keeps: true, recording: clean },
  ];
}

function bundled(name: string): Promise<Recording> {
  return readRecording(fileURLToPath(new URL(`fixtures/${name}.dat.xz`, packageRoot())));
}

/** The recording with so much of its records wanted by any class as `share` says, or a little less. */
function withRelevant(recording: Recording, share: number): Recording {
  const decoder = new Decoder(defaultCatalog(), () => null);
  const relevant = new Map<number, boolean>();
  for (const { id, kind, system, name, fields } of recording.formats) {
    const probe = { kind, system, name, fields: fields.map((field) => field.name), at: null };
    // Stacks have an id of ftrace's own: they go with the event before them.
    if (system !== "ftrace") relevant.set(id, decoder.wants(probe));
  }
  let isKept = false;
  let records = 0;
  let wanted = 0;
  const keeps = (id: number) => {
    const isWanted = relevant.get(id);
    if (isWanted !== undefined) isKept = !isWanted || wanted < share * records;
    if (isKept) records++;
    if (isKept && isWanted === true) wanted++;
    return isKept;
  };
  return { ...recording, cpus: recording.cpus.map((pages) => filterPages(pages, keeps)) };
}

function wholeNumber(option: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  console.error(`${option} ${text}: must be a whole number above zero`);
  process.exit(2);
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >>> 1] ?? 0;
}

function rate(perSecond: number): string {
  return `${perSecond >= 1e6 ? `${(perSecond / 1e6).toFixed(1)} M` : `${Math.round(perSecond / 1e3)} k`}/s`;
}

function row(name: string, ...cells: string[]): void {
  say(name.padEnd(28) + cells.map((cell) => cell.padStart(12)).join(""));
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
