/** What `ktally analyze` exits with (design, section 9). */
import type { AuditOutcome } from "./audit.js";
import type { Finding } from "./rules/finding.js";

export const EXIT = { clean: 0, bug: 1, unusable: 2, unsure: 125 } as const;

/**
 * `allowPartial` forgives incomplete coverage and suspicions, not that nothing was judged. `known` findings are
 * suppressed and do not count.
 */
export function exitCode(
  outcome: Pick<AuditOutcome, "findings" | "coverage">,
  allowPartial: boolean,
  known: ReadonlyMap<Finding, string> = new Map(),
): number {
  const errors = outcome.findings.filter((finding) => finding.level === "error" && !known.has(finding));
  if (errors.some((finding) => finding.verdict !== "suspected")) return EXIT.bug;
  const judged = outcome.coverage.filter((coverage) => coverage.judged);
  // Module references alone say nothing about the classes that an audit is for.
  const judgedAny = judged.some((coverage) => coverage.effects > 0 && coverage.class.class !== "module");
  if (!judgedAny) return EXIT.unsure;
  if (allowPartial) return EXIT.clean;
  const incomplete = judged.some((coverage) => coverage.state === "partial" || coverage.state === "blind");
  return incomplete || errors.length > 0 ? EXIT.unsure : EXIT.clean;
}
