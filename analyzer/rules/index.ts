/** All rules, and what makes one list of their findings. */
import { borrowedOutlives } from "./borrowed-outlives.js";
import { counterRange } from "./counter-range.js";
import { doubleRegistration } from "./double-registration.js";
import { extraPut } from "./extra-put.js";
import type { Finding, RuleId } from "./finding.js";
import { ignoredFailure } from "./ignored-failure.js";
import { illegalTransition } from "./illegal-transition.js";
import { leak } from "./leak.js";
import { moduleRef } from "./module-ref.js";
import { order } from "./order.js";
import type { Rule, RuleContext, RuleWatch } from "./rule.js";
import { staleOps } from "./stale-ops.js";
import { unmatchedUnregister } from "./unmatched-unregister.js";
import { unregisterStuck } from "./unregister-stuck.js";
import { useAfterRelease } from "./use-after-release.js";
import { workAfterCancel } from "./work-after-cancel.js";

/** In the order in which causes precede consequences: an earlier rule's finding explains a later one's. */
export const RULES: readonly Rule[] = [
  staleOps,
  doubleRegistration,
  ignoredFailure,
  unmatchedUnregister,
  useAfterRelease,
  extraPut,
  leak,
  unregisterStuck,
  illegalTransition,
  counterRange,
  borrowedOutlives,
  order,
  workAfterCancel,
  moduleRef,
];

export function ruleById(id: string): Rule | undefined {
  return RULES.find((rule) => rule.meta.id === id);
}

export function watchAll(context: RuleContext): RuleWatch[] {
  return RULES.flatMap((rule) => rule.watch(context));
}

/** The findings of all rules, causes first, each consequence tied to its root. */
export function collectFindings(watches: readonly RuleWatch[]): Finding[] {
  const findings = watches.flatMap((watch) => watch.findings());
  const order = new Map<RuleId, number>(RULES.map((rule, index) => [rule.meta.id, index]));
  for (const finding of findings) {
    const root = findings.find(
      (candidate) =>
        candidate !== finding &&
        candidate.consequenceOf === null &&
        isSameMatter(candidate, finding) &&
        (order.get(candidate.rule) ?? 0) < (order.get(finding.rule) ?? 0),
    );
    if (root) finding.consequenceOf = root;
  }
  const roots = findings.filter((finding) => finding.consequenceOf === null);
  return roots.flatMap((root) => [root, ...findings.filter((finding) => finding.consequenceOf === root)]);
}

/** One operation brought both to light, or one refused entry keeps being in the way. */
function isSameMatter(cause: Finding, effect: Finding): boolean {
  if (cause.trigger !== null && cause.trigger === effect.trigger) return true;
  return (
    cause.rule === "stale-ops" &&
    cause.class === effect.class &&
    cause.object.key === effect.object.key &&
    cause.object.generation === effect.object.generation &&
    effect.trigger !== null &&
    // Nobody was refused by the old entry: then whoever registers over it is its consequence.
    (cause.trigger === null
      ? effect.rule === "double-registration"
      : effect.trigger.event.time >= cause.trigger.event.time)
  );
}
