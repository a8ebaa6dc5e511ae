/** Findings and their evidence, as rows. */
import type { Database } from "better-sqlite3";
import type { Operation } from "../decode/operation.js";
import type { Finding } from "../rules/finding.js";
import { fingerprint } from "../rules/fingerprint.js";

/** What needs the symbols of the sources, or what the user knows already. */
export interface FindingTexts {
  /** An operation in words. */
  call(operation: Operation): string;
  /** The culprit's function and those that called it, innermost first. */
  functions(finding: Finding): readonly string[];
  /** Why a finding is known and does not count; null for a new one. */
  suppressedBy(finding: Finding): string | null;
}

/** Writes the findings of an audit, roots before their consequences. */
export function writeFindings(database: Database, findings: readonly Finding[], texts: FindingTexts): void {
  const insert = database.prepare(`INSERT INTO findings VALUES (${Array(22).fill("?").join(",")})`);
  const reason = database.prepare("INSERT INTO reasons VALUES (NULL,?,?,?,?)");
  const evidence = database.prepare("INSERT INTO evidence VALUES (?,?,?,?,?,?,?,?,?,?)");
  const ids = new Map(findings.map((finding, index) => [finding, index + 1]));
  for (const [finding, id] of ids) {
    const { object, culprit } = finding;
    insert.run(
      id,
      finding.rule,
      finding.variant,
      finding.level,
      finding.verdict,
      finding.class.class,
      object.label,
      object.address === null ? null : BigInt.asIntN(64, object.address),
      object.key,
      object.generation,
      finding.consequenceOf === null ? null : (ids.get(finding.consequenceOf) ?? null),
      fingerprint(finding, texts.functions(finding)),
      texts.suppressedBy(finding),
      finding.title,
      finding.explanation,
      finding.expected,
      finding.sure,
      finding.class.fixed_before[finding.rule] ?? null,
      culprit.function,
      culprit.context,
      culprit.site,
      culprit.event?.id ?? null,
    );
    for (const { code, text, probe } of finding.loweredBy) reason.run(id, code, text, probe);
    for (const [seq, { event, operation, note }] of finding.evidence.entries()) {
      evidence.run(
        id,
        seq,
        event.id,
        operation === null ? note : texts.call(operation),
        operation?.function ?? event.probe.name,
        operation?.effect ?? null,
        operation === null ? null : operation.delta,
        operation?.read?.value ?? null,
        operation?.result ?? null,
        note,
      );
    }
  }
}
