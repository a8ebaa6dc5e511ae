import { Command } from "commander";
import { defaultCatalog } from "../../collectors/catalog/default.js";
import { type ExplainedImport, type ExplainedSource, explainImport, nameOf } from "../import-explained.js";
import { harmless } from "../report/harmless.js";
import { writeResult } from "./output.js";
import { WrongUse } from "./wrong-use.js";

export function importCommand(_state: { exit: number }): Command {
  return new Command("import")
    .description("say what files are and how much of them can be used")
    .argument("<file...>", "trace files of one machine; - is standard input")
    .option("--explain", "by source: events, losses; by probe: its function, what it tells; and what to record")
    .option("--catalog <file>", "a further catalog entry of your own; may be repeated", collect)
    .action(async (files: string[], options: { explain?: boolean; catalog?: string[] }) => {
      if (options.explain !== true) throw new WrongUse("import only explains (--explain); ktally analyze audits");
      const explained = await explainImport(files, defaultCatalog(options.catalog));
      await writeResult(`${lines(explained).map(harmless).join("\n")}\n`, null);
    });
}

function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}

function lines(explained: ExplainedImport): string[] {
  const { sources, coverage, classes } = explained;
  const seen = coverage.filter(({ state, reasons }) => state !== "absent" || reasons.length > 0);
  return [
    ...sources.flatMap(sourceLines),
    "classes",
    ...seen.flatMap(({ class: entry, state, effects, reasons }) => [
      `  ${entry.class.padEnd(20)} ${state}${effects > 0 ? `, ${effects} operations` : ""}`,
      ...reasons.map(({ text }) => `    · ${text}`),
    ]),
    ...(seen.length === 0 ? ["  no event of any class: record its functions"] : []),
    "",
    ...recordLines(classes, seen.length === 0),
  ];
}

/** What to record to know more: the plan of the classes that were seen only in part. */
function recordLines(classes: readonly string[], nothing: boolean): string[] {
  if (nothing) return ["to know more, record on that machine what this prints there:", "  ktally probes"];
  if (classes.length === 0) return ["every class that was seen was seen completely"];
  return [
    "to know more, record on that machine what this prints there:",
    `  ktally probes --class ${classes.join(",")}`,
  ];
}

function sourceLines({ facts, hasSymbols, relevant, probes, passedOver }: ExplainedSource): string[] {
  const facts1 = [
    facts.kernel === null ? null : `Linux ${facts.kernel}`,
    facts.clock === null ? null : `clock ${facts.clock}${facts.clockIsTime ? "" : " (counts, no time)"}`,
    facts.cpus.size === 0 ? null : `${facts.cpus.size} CPUs`,
    spanOf(facts),
  ].filter((fact) => fact !== null);
  const lost = facts.gaps.reduce((sum, gap) => sum + (gap.lost ?? 0), 0);
  const gaps =
    facts.gaps.length === 0 ? "nothing lost" : `${lost > 0 ? `${lost} lost` : "lost"} in ${facts.gaps.length} places`;
  const unknown = probes.filter(({ isUnderstood }) => !isUnderstood);
  return [
    `${facts.path}: ${facts.format}`,
    ...(facts1.length > 0 ? [`  ${facts1.join(", ")}`] : []),
    `  ${facts.eventCount} events, ${relevant} relevant, ${gaps}`,
    ...(!hasSymbols ? ["  no symbols: a copy of /proc/kallsyms of the same boot beside it names its addresses"] : []),
    ...facts.diagnostics.map(diagnosticLine),
    "",
    ...table(
      "probe",
      probes
        .filter(({ isUnderstood }) => isUnderstood)
        .map(({ probe, events, effects, known }) => [nameOf(probe), String(events), effects.join(", "), known]),
    ),
    ...table(
      "not understood",
      unknown.map(({ probe, events, known }) => [nameOf(probe), String(events), "", known]),
    ),
    ...(passedOver.length > 0 ? [`  of no class: ${few(passedOver)}`, ""] : []),
  ];
}

function spanOf({ cpus, clockIsTime }: ExplainedSource["facts"]): string | null {
  const times = [...cpus.values()].flatMap(({ first, last }) => [first, last]).sort((a, b) => (a < b ? -1 : 1));
  const [first] = times;
  const last = times.at(-1);
  if (first === undefined || last === undefined) return null;
  return clockIsTime ? `${seconds(first)} to ${seconds(last)} s` : `${first} to ${last}`;
}

function seconds(time: bigint): string {
  return `${time / 1_000_000_000n}.${String((time / 1000n) % 1_000_000n).padStart(6, "0")}`;
}

function diagnosticLine({ severity, offset, line, message }: ExplainedSource["facts"]["diagnostics"][number]): string {
  const at = line !== null ? ` at line ${line}` : offset !== null ? ` at byte ${offset}` : "";
  return `  ${severity}${at}: ${message}`;
}

function table(heading: string, rows: string[][]): string[] {
  if (rows.length === 0) return [];
  const all = [[heading, "events", "tells", "function"], ...rows];
  const widths = [0, 1, 2].map((column) => Math.max(...all.map((row) => row[column]!.length)));
  return [...all.map((row) => `  ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join("  ")}`.trimEnd()), ""];
}

const FEW = 8;

function few(names: readonly string[]): string {
  const more = names.length > FEW ? ` and ${names.length - FEW} more` : "";
  return `${names.slice(0, FEW).join(", ")}${more}`;
}
