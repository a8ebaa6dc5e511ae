/**
 * How fast and in how much memory `ktally analyze` works: whole runs, database and report included, beside what others
 * do with the same: `trace-cmd report`, `perf script`, `sqlite3 .import` of the same rows. The traces are made of the
 * bundled recordings' own pages, repeated; with files named, those are measured instead.
 */

import { mkdtempSync, openSync, rmSync, statSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { defaultCatalog } from "../../collectors/catalog/default.js";
import { explainImport } from "../import-explained.js";
import { writeBigPerf } from "./big-perf.js";
import { writeBigTrace } from "./big-trace.js";
import { bundled, bundledPath, type Load, loads } from "./loads.js";
import { type Run, runKtally, runOther } from "./measure.js";
import { measureScreens } from "./screens.js";

const { values, positionals: files } = parseArgs({
  allowPositionals: true,
  options: {
    events: { type: "string", default: "1000000,5000000,20000000" },
    runs: { type: "string", default: "3" },
    screens: { type: "boolean", default: false },
  },
});
const sizes = values.events.split(",").map((text) => wholeNumber("--events", text));
const runs = wholeNumber("--runs", values.runs);

const folder = mkdtempSync(join(tmpdir(), "ktally-bench-"));
const trace = join(folder, "trace.dat");
const text = join(folder, "trace.txt");
const perf = join(folder, "perf.data");
const db = join(folder, "audit.db");
const report = ["--format", "json", "--output", join(folder, "report.json")];
try {
  await main();
} finally {
  rmSync(folder, { recursive: true });
}

async function main(): Promise<void> {
  if (values.screens) return screens();
  say(`Medians of ${runs} runs of whole processes; ktally writes its report, and with --db every event into SQLite.`);
  sayLoad();
  row("\ntrace", "size", "events", "ktally", "others", "ratio", "peak memory");
  if (files.length > 0) {
    for (const file of files) await measureFile(file);
    return;
  }
  for (const load of await loads()) {
    for (const size of sizes) await measureLoad(load, size, size === sizes[0]);
  }
  await measurePerf(sizes[0] ?? 0);
  await screens();
}

async function measurePerf(size: number): Promise<void> {
  const count = await writeBigPerf(perf, bundledPath("healthy-mix-6.1-perf.data"), size);
  await compare("perf.data, relevant", perf, count, ["analyze", perf, ...report], ["perf", "script", "-i", perf]);
}

async function measureLoad(load: Load, size: number, withText: boolean): Promise<void> {
  const count = writeBigTrace(trace, load.recording, size);
  const theirs = ["trace-cmd", "report", trace];
  const [, other] = await compare(load.name, trace, count, ["analyze", trace, ...report], theirs);
  if (load.keeps) {
    const kept = ["analyze", trace, "--db", db, ...report];
    const [seconds] = await compare(`${load.name}, --db`, trace, count, kept, other);
    await importRows(seconds);
  }
  if (!withText || other === null) return;
  await runOther("trace-cmd", ["report", trace], openSync(text, "w"));
  await compare(`${load.name}, as text`, text, count, ["analyze", text, ...report], other);
}

/** A file of the user's own: perf.data beside `perf script`, any other beside `trace-cmd report`. */
async function measureFile(file: string): Promise<void> {
  const { sources } = await explainImport([file], defaultCatalog());
  const { format = "", eventCount = 0 } = sources[0]?.facts ?? {};
  const theirs = format === "perf.data" ? ["perf", "script", "-i", file] : ["trace-cmd", "report", file];
  await compare(file, file, eventCount, ["analyze", file, ...report], theirs);
}

/** The rows of the database once more, by sqlite3's own import of CSV, without an index. */
async function importRows(seconds: number): Promise<void> {
  const tables = ["events", "ledger", "objects"];
  const csv = (table: string) => join(folder, `${table}.csv`);
  for (const table of tables) {
    const exported = await runOther(
      "sqlite3",
      ["-csv", "-header", db, `SELECT * FROM ${table}`],
      openSync(csv(table), "w"),
    );
    if (exported === null) return;
  }
  const imported = join(folder, "import.db");
  const times: number[] = [];
  for (let turn = 0; turn < runs; turn++) {
    rmSync(imported, { force: true });
    const commands = tables.map((table) => `.import --csv ${csv(table)} ${table}`);
    times.push((await runOther("sqlite3", [imported, ...commands]))?.seconds ?? 0);
  }
  row("  sqlite3 .import of its rows", "", "", "", `${median(times).toFixed(1)} s`, ratio(median(times), seconds));
}

/**
 * One row: ktally beside another program, in turns, so that whatever else the machine does meets both alike.
 * @param other a command, or how many seconds it took before; null when there is no such program
 * @returns the seconds of both
 */
async function compare(
  name: string,
  path: string,
  count: number,
  args: readonly string[],
  other: readonly string[] | number | null,
): Promise<[number, number | null]> {
  const ours: Run[] = [];
  const theirs: Run[] = [];
  for (let turn = 0; turn < runs; turn++) {
    ours.push(await runKtally(args));
    if (other === null || typeof other === "number") continue;
    const [command = "", ...rest] = other;
    const run = await runOther(command, rest);
    if (run) theirs.push(run);
    else if (turn === 0) say(`(${command} is not installed: there is nothing to compare with)`);
  }
  const seconds = median(ours.map((run) => run.seconds));
  const known = typeof other === "number" ? other : null;
  const others = theirs.length > 0 ? median(theirs.map((run) => run.seconds)) : known;
  row(
    name,
    `${Math.round(statSync(path).size / 1e6)} MB`,
    count.toLocaleString("en"),
    rate(count / seconds),
    others === null ? "" : rate(count / others),
    others === null ? "" : ratio(others, seconds),
    `${Math.round(median(ours.map((run) => run.peakBytes ?? 0)) / 1e6)} MB`,
  );
  const failed = ours.find((run) => run.exit === 2 || run.exit === null);
  if (failed) say(`ktally ended with ${failed.exit}: these numbers mean nothing.`);
  return [seconds, others];
}

/** The terminal UI on a database of 5 million events (`--screens` alone; else after the rest). */
async function screens(): Promise<void> {
  const count = writeBigTrace(trace, await bundled("clean-6.1"), 5_000_000);
  await runKtally(["analyze", "--quiet", "--db", db, trace]);
  const size = Math.round(statSync(db).size / 1e6);
  say(`\nktally tui on ${count.toLocaleString("en")} events (a database of ${size} MB), at 200x60:`);
  sayLoad();
  const answers = await measureScreens(db);
  if (answers === null) say("script (util-linux) is not installed: there is no terminal to measure in.");
  else for (const { what, milliseconds } of answers) row(what.padEnd(44), `${Math.round(milliseconds)} ms`);
}

function sayLoad(): void {
  const [load = 0] = loadavg();
  const count = cpus().length;
  if (load > count / 2) say(`(the machine is busy: ${load.toFixed(0)} tasks want its ${count} CPUs)`);
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

function ratio(theirs: number, ours: number): string {
  return `${(theirs / ours).toFixed(1)}x`;
}

function row(name: string, ...cells: string[]): void {
  say(name.padEnd(30) + cells.map((cell) => cell.padStart(12)).join(""));
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
