/** Reports of the kernel's log, as rows. */
import type { Database } from "better-sqlite3";
import type { Stack } from "../import/trace-event.js";
import type { Finding } from "../rules/finding.js";
import type { JudgedReport } from "../rules/kernel-reports.js";

/** Writes the reports of an audit; findings are known by their place in the list. */
export function writeReports(database: Database, reports: readonly JudgedReport[], findings: readonly Finding[]): void {
  const insert = database.prepare(`INSERT INTO reports VALUES (${Array(24).fill("?").join(",")})`);
  for (const [index, { report, event, meaning, finding }] of reports.entries()) {
    insert.run(
      index + 1,
      event.source,
      report.line,
      report.kind,
      report.bug,
      report.title,
      report.time,
      report.clock,
      report.cpu,
      report.tid,
      report.comm,
      report.kernel,
      meaning.function,
      report.source,
      event.id,
      JSON.stringify(namesOf(report.stack)),
      JSON.stringify(report.related.map(({ what, tid, stack }) => ({ what, tid, stack: namesOf(stack) }))),
      JSON.stringify(Object.fromEntries([...report.registers].map(([name, value]) => [name, hex(value)]))),
      JSON.stringify(report.modules),
      meaning.class?.class ?? null,
      meaning.rule?.id ?? null,
      finding === null ? null : findings.indexOf(finding) + 1,
      JSON.stringify(
        meaning.lookalikes.map(({ title, commit, cve }) => `${title} (${[commit, cve].filter(Boolean).join(", ")})`),
      ),
      meaning.learn,
    );
  }
}

function namesOf(stack: Stack | null): string[] {
  return stack?.frames.map(({ symbol, address }) => symbol ?? (address === null ? "?" : hex(address))) ?? [];
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
