import { Command, Option } from "commander";
import { EXIT } from "../exit-code.js";
import { analyze } from "../index.js";
import { harmless } from "../report/harmless.js";
import { type Comparison, compare, hasError } from "../triage/compare.js";
import { type EarlierFinding, readEarlier } from "../triage/earlier.js";
import { writeResult } from "./output.js";

export function diffCommand(state: { exit: number }): Command {
  return new Command("diff")
    .description("compare two audits by fingerprint: what is new, gone, the same")
    .argument("<before>", "a JSON report, a database or a trace")
    .argument("<after>", "the same")
    .addOption(new Option("--format <name>", "form of the answer").choices(["text", "json"]).default("text"))
    .addHelpText(
      "after",
      "\nExit codes: 0 no new bug; 1 a new bug (proven or derived); 2 wrong use or unreadable input.",
    )
    .action(async (before: string, after: string, options: { format: string }) => {
      const comparison = compare(await findingsOf(before), await findingsOf(after));
      await writeResult(options.format === "json" ? json(comparison) : text(comparison), null);
      state.exit = hasError(comparison.added) ? EXIT.bug : EXIT.clean;
    });
}

async function findingsOf(path: string): Promise<EarlierFinding[]> {
  const earlier = path === "-" ? null : readEarlier(path);
  if (earlier !== null) return earlier;
  const analysis = await analyze([path]);
  try {
    return analysis.view.findings();
  } finally {
    analysis.close();
  }
}

function json({ added, gone, same }: Comparison): string {
  const only = (findings: readonly EarlierFinding[]) =>
    findings.map(({ fingerprint, rule, class: name, level, verdict, title, suppressed_by }) => {
      return { fingerprint, rule, class: name, level, verdict, title, suppressed_by };
    });
  return `${JSON.stringify({ new: only(added), gone: only(gone), same: only(same) }, null, 2)}\n`;
}

function text({ added, gone, same }: Comparison): string {
  const lines = [...lineOf("new", added), ...lineOf("gone", gone), ...lineOf("same", same)];
  return `${[...lines, `${added.length} new, ${gone.length} gone, ${same.length} the same`].join("\n")}\n`;
}

function lineOf(word: string, findings: readonly EarlierFinding[]): string[] {
  return findings.map(({ fingerprint, rule, class: name, level, verdict, title, suppressed_by }) => {
    const sure = level === "note" ? level : verdict;
    const reason = suppressed_by === null ? "" : `, suppressed by ${suppressed_by}`;
    return harmless(`${word.padEnd(4)}  ${fingerprint}  ${rule} · ${name} · ${sure}${reason}   ${title}`);
  });
}
