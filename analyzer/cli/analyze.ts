import { readFileSync } from "node:fs";
import { Command, InvalidArgumentError, Option } from "commander";
import { defaultCatalog } from "../../collectors/catalog/default.js";
import { analyze } from "../index.js";
import { harmless } from "../report/harmless.js";
import { REPORTS } from "../report/index.js";
import { type EarlierFinding, readEarlier } from "../triage/earlier.js";
import { BadSuppression, parseSuppressions, type Suppression } from "../triage/suppressions.js";
import { classesOf, collect } from "./class-options.js";
import { Progress, wantsColor, writeResult } from "./output.js";
import { WrongUse } from "./wrong-use.js";

interface Options {
  db?: string;
  format: string;
  output?: string;
  class?: string[];
  catalog?: string[];
  allowPartial?: boolean;
  suppressions?: string[];
  baseline?: string[];
  keepAll?: boolean;
  stuckAfter?: number;
  quiet?: boolean;
}

export function analyzeCommand(state: { exit: number }): Command {
  return new Command("analyze")
    .description("read traces of one machine, audit the objects in them, and report")
    .argument("<file...>", "trace files of any format (ktally formats); - is standard input")
    .option("--db <file>", "keep the audit in this SQLite database")
    .addOption(new Option("--format <name>", "form of the report").choices(Object.keys(REPORTS)).default("text"))
    .option("--keep-all", "with --db: keep events that touch no class, too")
    .option("--stuck-after <seconds>", "how long an unregister may wait before it counts as stuck", seconds, 10)
    .option("--output <file>", "write the report to a file instead of standard output")
    .option("--class <names>", "judge only these resource classes (ktally catalog list): a,b or once each", collect)
    .option("--catalog <file>", "a further catalog entry of your own; may be repeated", collect)
    .option("--allow-partial", "exit 0 although classes were only partly seen or a suspicion remains")
    .option("--suppressions <file>", "lines rule:class:function (* for any) of what does not count", collect)
    .option("--baseline <file>", "an earlier JSON report or database: only what is new counts", collect)
    .option("--quiet", "print nothing, leave only the exit code")
    .addHelpText("after", EXIT_CODES)
    .action(async (files: string[], options: Options) => {
      state.exit = await runAnalyze(files, options);
    });
}

const EXIT_CODES = `
Exit codes: 0 nothing found and all judged classes seen completely; 1 a bug (proven or derived); 2 wrong use or
unreadable input; 125 a class was seen only in part, a suspicion remains, or nothing was judged (git bisect run
skips on 125).`;

function seconds(value: string): number {
  const number = Number(value);
  if (value.trim() !== "" && number >= 0 && number <= 1e9) return number;
  throw new InvalidArgumentError("Give seconds, such as 10 or 0.5.");
}

/** Analyzes and reports; returns the exit code. */
export async function runAnalyze(files: readonly string[], options: Options): Promise<number> {
  const catalog = defaultCatalog(options.catalog);
  const classes = classesOf(options.class, catalog);
  if (options.keepAll === true && options.db === undefined) throw new WrongUse("--keep-all: name a database with --db");
  const known = {
    suppressions: (options.suppressions ?? []).flatMap(readSuppressions),
    baseline: new Set((options.baseline ?? []).flatMap(readBaseline).map(({ fingerprint }) => fingerprint)),
  };
  const progress = new Progress(options.quiet !== true);
  const analysis = await analyze(files, {
    catalog,
    classes,
    db: options.db ?? null,
    allowPartial: options.allowPartial ?? false,
    keepAll: options.keepAll ?? false,
    ...(options.stuckAfter === undefined ? {} : { stuckAfter: BigInt(Math.round(options.stuckAfter * 1e9)) }),
    known,
    progress: (events) => progress.update(events),
  }).finally(() => progress.clear());
  try {
    const report = REPORTS[options.format];
    if (options.quiet !== true && report) {
      const color = options.output === undefined && wantsColor();
      const width = process.stdout.isTTY === true ? process.stdout.columns : null;
      await writeResult(report(analysis.view, { color, width }), options.output ?? null);
    }
    for (const { at, pattern, uses } of options.quiet === true ? [] : known.suppressions) {
      if (uses === 0) process.stderr.write(`ktally: ${harmless(`${at}: ${pattern} suppressed nothing`)}\n`);
    }
    return analysis.exit;
  } finally {
    analysis.close();
  }
}

function readSuppressions(file: string): Suppression[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new WrongUse(`--suppressions ${file}: cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  try {
    return parseSuppressions(text, file);
  } catch (error) {
    throw error instanceof BadSuppression ? new WrongUse(error.message) : error;
  }
}

function readBaseline(file: string): EarlierFinding[] {
  const findings = readEarlier(file);
  if (findings !== null) return findings;
  throw new WrongUse(
    `--baseline ${file}: is neither a JSON report nor a database; make one with --format json or --db`,
  );
}
