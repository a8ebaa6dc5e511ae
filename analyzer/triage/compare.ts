/** Two audits side by side, by fingerprint. */
import type { EarlierFinding } from "./earlier.js";

export interface Comparison {
  /** Of the second audit only. */
  added: EarlierFinding[];
  /** Of the first audit only. */
  gone: EarlierFinding[];
  /** Of both, as the second one tells it. */
  same: EarlierFinding[];
}

/** Compares findings. */
export function compare(before: readonly EarlierFinding[], after: readonly EarlierFinding[]): Comparison {
  const old = byFingerprint(before);
  const now = byFingerprint(after);
  return {
    added: [...now.values()].filter((finding) => !old.has(finding.fingerprint)),
    gone: [...old.values()].filter((finding) => !now.has(finding.fingerprint)),
    same: [...now.values()].filter((finding) => old.has(finding.fingerprint)),
  };
}

/** Whether there is something that `analyze` would fail for. */
export function hasError(findings: readonly EarlierFinding[]): boolean {
  return findings.some(
    ({ level, verdict, suppressed_by }) => level === "error" && verdict !== "suspected" && suppressed_by === null,
  );
}

/** The surest of a fingerprint stands for it. */
function byFingerprint(findings: readonly EarlierFinding[]): Map<string, EarlierFinding> {
  const map = new Map<string, EarlierFinding>();
  for (const finding of findings) {
    const known = map.get(finding.fingerprint);
    if (!known || (!hasError([known]) && hasError([finding]))) map.set(finding.fingerprint, finding);
  }
  return map;
}
