import type { Operation } from "../decode/operation.js";
import type { Registration, Unmatched } from "../lifecycle/registrations.js";
import { describeEntry, describeResult } from "./describe.js";
import type { Evidence, Finding } from "./finding.js";
import { makeFinding } from "./make.js";
import type { Rule, RuleContext, RuleWatch } from "./rule.js";
import { type Judgement, judgementOf, lossesBetween, PROVEN } from "./verdict.js";

export const unmatchedUnregister: Rule = {
  meta: {
    id: "unmatched-unregister",
    title: "something was unregistered that was not registered",
    variants: ["unreg-nomatch", "unreg-after-failed-reg", "foreign-unreg"],
    page: `
An unregister was called for a key that is not in the table: never registered, registered with an error, or another
owner's. The first goes unnoticed in the kernel, and the entry that was meant stays; the last removes what somebody
else relies on.

How ktally knows: the caller's own register had failed, and the entry that its unregister removed was another's (proven
by the return value); or the table was seen from the load of its module on and never had the key (derived).

Not accused: an unregister of a key never seen in a trace that began later than the table (that is coverage); a table
whose unregister of an empty slot is legal.
`,
  },
  watch: (context) => new UnmatchedUnregister(context),
};

class UnmatchedUnregister implements RuleWatch {
  readonly #context: RuleContext;
  readonly #unmatched: Unmatched[] = [];
  readonly #foreign: { entry: Registration; failed: Operation }[] = [];
  /** Registers that failed and whose caller has not registered the key since. */
  readonly #failed = new Map<string, Operation>();

  /** When registers were recorded, per class. */
  readonly #registers = new Map<string, bigint[]>();

  constructor(context: RuleContext) {
    this.#context = context;
  }

  refused(refusal: { operation: Operation }): void {
    this.#failed.set(slot(refusal.operation), refusal.operation);
  }

  registered(entry: Registration): void {
    this.#failed.delete(slot(entry.registered));
    const times = this.#registers.get(entry.class.class) ?? [];
    times.push(entry.registered.event.time);
    this.#registers.set(entry.class.class, times);
  }

  unregistered(entry: Registration): void {
    const failed = this.#failed.get(slot(entry.registered));
    this.#failed.delete(slot(entry.registered));
    const by = entry.unregistered;
    if (!failed || !by || failed.event.time < entry.registered.event.time) return;
    // Only who was refused itself can have removed another's entry.
    if (failed.event.tid === by.event.tid && entry.registered.event.tid !== by.event.tid) {
      this.#foreign.push({ entry, failed });
    }
  }

  unmatched(unmatched: Unmatched): void {
    if (unmatched.operation.class.table?.empty_unregister === "legal") return;
    if (unmatched.failedBefore !== null || unmatched.tableKnown) this.#unmatched.push(unmatched);
  }

  findings(): Finding[] {
    return [
      ...this.#foreign.map(({ entry, failed }) => this.#foreignEntry(entry, failed)),
      ...this.#unmatched.map((unmatched) => this.#noMatch(unmatched)),
    ];
  }

  #foreignEntry(entry: Registration, failed: Operation): Finding {
    const by = entry.unregistered as Operation;
    const evidence: Evidence[] = [
      { event: entry.registered.event, operation: entry.registered, note: "registered" },
      { event: failed.event, operation: failed, note: "refused: this caller has registered nothing" },
      { event: by.event, operation: by, note: "and yet removes the entry" },
    ];
    const finding = this.#finding(by, "foreign-unreg", evidence, PROVEN, entry.generation);
    finding.title = `${finding.object.label} was unregistered by a caller whose own register had failed`;
    finding.explanation = `${failed.function}() failed with ${describeResult(failed.result ?? 0)}, and its caller unregistered the key all the same: it removed an entry that another had made.`;
    finding.sure = "the failed register's return value shows that the entry was not the caller's";
    return finding;
  }

  #noMatch(unmatched: Unmatched): Finding {
    const { operation, failedBefore } = unmatched;
    const evidence: Evidence[] = [];
    if (failedBefore) evidence.push({ event: failedBefore.event, operation: failedBefore, note: "refused" });
    evidence.push({ event: operation.event, operation, note: "nothing there to unregister" });
    const judgement = failedBefore ? this.#judgeFailed(failedBefore, operation) : this.#judgeTable(operation);
    const variant = failedBefore ? "unreg-after-failed-reg" : "unreg-nomatch";
    const finding = this.#finding(operation, variant, evidence, judgement, 1);
    finding.title = `${finding.object.label} was unregistered without being registered`;
    finding.explanation = failedBefore
      ? `Its register had failed with ${describeResult(failedBefore.result ?? 0)}.`
      : "The table was seen since its module was loaded, and never had this key.";
    finding.sure = failedBefore ? "the register's return value" : "every register since the table exists was seen";
    return finding;
  }

  /** The register had failed; another one that succeeded may be among what was lost since. */
  #judgeFailed(failed: Operation, operation: Operation): Judgement {
    const loweredBy = lossesBetween(this.#context, failed.event.time, operation.event.time);
    return loweredBy.length > 0 ? { verdict: "suspected", loweredBy } : PROVEN;
  }

  /**
   * The table never had the key: derived when registers were recorded since its module was loaded, and later. Probes of
   * a module's functions are armed as it is loaded, so the first hit shows that none was missed before it.
   */
  #judgeTable(operation: Operation): Judgement {
    const began = this.#context.world.owners.module(operation.class.table?.home ?? "")?.began?.time ?? 0n;
    const at = operation.event.time;
    const times = this.#registers.get(operation.class.class) ?? [];
    const loweredBy = lossesBetween(this.#context, began, at);
    if (!times.some((time) => time > began && time < at) || !times.some((time) => time > at)) {
      const text = "a register may not have been recorded: none was seen both before and after";
      loweredBy.push({ code: "not-probed", text, probe: null });
    }
    return judgementOf(loweredBy);
  }

  #finding(
    operation: Operation,
    variant: string,
    evidence: Evidence[],
    judgement: Judgement,
    generation: number,
  ): Finding {
    return makeFinding({
      rule: "unmatched-unregister",
      variant,
      judgement,
      class: operation.class,
      object: describeEntry(this.#context, operation.class, operation.key, operation, generation),
      title: "",
      explanation: "",
      expected: "an unregister only of what this caller has registered with success",
      sure: "",
      function: operation.function,
      event: operation.event,
      evidence,
      trigger: operation,
    });
  }
}

function slot(operation: Operation): string {
  return `${operation.class.class}/${operation.key}`;
}
