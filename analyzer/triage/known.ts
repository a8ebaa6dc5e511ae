/** Which findings are known already: by a suppression, by an earlier audit, or as the consequence of a known one. */

import type { Finding } from "../rules/finding.js";
import { fingerprint } from "../rules/fingerprint.js";
import { type Suppression, suppressionOf } from "./suppressions.js";

/** What `suppressed_by` says of a finding that the baseline has. */
export const BASELINE = "baseline";

export interface Known {
  suppressions: readonly Suppression[];
  /** Fingerprints of an earlier audit. */
  baseline: ReadonlySet<string>;
}

/** Why each known finding is suppressed; new ones are not in the map. Roots come before their consequences. */
export function suppressedBy(
  findings: readonly Finding[],
  known: Known,
  functionsOf: (finding: Finding) => readonly string[],
): Map<Finding, string> {
  const reasons = new Map<Finding, string>();
  for (const finding of findings) {
    const functions = functionsOf(finding);
    const root = finding.consequenceOf === null ? undefined : reasons.get(finding.consequenceOf);
    const pattern = suppressionOf(finding, functions, known.suppressions)?.pattern ?? root;
    const reason = pattern ?? (known.baseline.has(fingerprint(finding, functions)) ? BASELINE : null);
    if (reason !== null) reasons.set(finding, reason);
  }
  return reasons;
}
