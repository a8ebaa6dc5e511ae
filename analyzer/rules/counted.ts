/** What the rules on counters share: the finding's skeleton and an object's story. */
import type { Operation } from "../decode/operation.js";
import type { KernelObject } from "../lifecycle/objects.js";
import { describeObject } from "./describe.js";
import type { Evidence, Finding, RuleId } from "./finding.js";
import type { Judgement } from "./verdict.js";

/** Classes whose references the counter rules judge; module references are judged by a rule of their own. */
export function isCounted(object: KernelObject): boolean {
  return object.class.kind === "counted" && object.class.class !== "module";
}

/** The object's operations up to and including one, as evidence; the one that matters bears the note. */
export function storyOf(object: KernelObject, until: Operation, note: string): Evidence[] {
  const end = object.history.indexOf(until);
  const operations = end < 0 ? [...object.history, until] : object.history.slice(0, end + 1);
  return operations.map((operation) => ({
    event: operation.event,
    operation,
    note: operation === until ? note : wordFor(operation),
  }));
}

export function counterFinding(
  rule: RuleId,
  variant: string,
  object: KernelObject,
  culprit: Operation,
  judgement: Judgement,
  evidence: Evidence[],
): Finding {
  return {
    rule,
    variant,
    level: "error",
    verdict: judgement.verdict,
    loweredBy: judgement.loweredBy,
    class: object.class,
    object: describeObject(object),
    title: "",
    explanation: "",
    expected: "",
    sure: "",
    culprit: {
      function: culprit.function,
      context: culprit.event.comm === "" ? null : `run by ${culprit.event.comm} (${culprit.event.tid})`,
      site: null,
      event: culprit.event,
    },
    evidence,
    trigger: culprit,
    consequenceOf: null,
  };
}

function wordFor(operation: Operation): string {
  const words: Partial<Record<Operation["effect"], string>> = {
    create: "created",
    destroy: "destroyed",
    get: "reference taken",
    put: "reference dropped",
  };
  return words[operation.effect] ?? operation.effect;
}
