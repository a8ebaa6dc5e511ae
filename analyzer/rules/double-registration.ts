import type { Refusal, Registration } from "../lifecycle/registrations.js";
import { keep } from "./cases.js";
import { describeEntry, describeResult } from "./describe.js";
import type { Evidence, Finding } from "./finding.js";
import { makeFinding } from "./make.js";
import type { Rule, RuleContext, RuleWatch } from "./rule.js";
import { type Judgement, judgeAbsence, PROVEN } from "./verdict.js";

export const doubleRegistration: Rule = {
  meta: {
    id: "double-registration",
    title: "a key was registered while it was registered",
    variants: ["reg-double"],
    page: `
The same key was registered again while its entry was in the table: by a second call of the same owner, or because the
owner before it left the entry behind (then this finding is a consequence of stale-ops).

How ktally knows: the register returned the error by which the table refuses a key that it has (proven). Where a table
accepts duplicates, its state tells: two registers and no unregister in between, with a working probe on it (derived).

Not accused: a refusal that is handed to user space, which asked for it (irqfd -EBUSY, a group opened twice, an mdev
uuid in use). A register that returns 0 on a taken key of a table that refuses duplicates: the unregister was not seen.

Fixed before: unregistering in kvm_exit(), so that the next load finds the slot free (571ee1b68598); refusing a second
virtual machine the debugfs name of another (85cd39af14f4).
`,
  },
  watch: (context) => [new DoubleRegistration(context)],
};

class DoubleRegistration implements RuleWatch {
  readonly #context: RuleContext;
  readonly #refusals: Refusal[] = [];
  readonly #accepted: { entry: Registration; before: Registration }[] = [];

  constructor(context: RuleContext) {
    this.#context = context;
  }

  refused(refusal: Refusal): void {
    if (refusal.duplicate && refusal.operation.refusal === "kernel") keep(this.#refusals, refusal);
  }

  registered(entry: Registration, before: Registration | null): void {
    if (before && entry.class.table?.duplicate === "accepted") keep(this.#accepted, { entry, before });
  }

  findings(): Finding[] {
    return [
      ...this.#refusals.map((refusal) => this.#refused(refusal)),
      ...this.#accepted.map((pair) => this.#taken(pair)),
    ];
  }

  #refused(refusal: Refusal): Finding {
    const { operation, holder } = refusal;
    const result = operation.result ?? 0;
    const ambiguous = operation.class.table?.duplicate_error_ambiguous;
    const judgement: Judgement =
      holder || ambiguous === undefined
        ? PROVEN
        : {
            verdict: "suspected",
            loweredBy: [
              {
                code: "started-late",
                text: `no entry under this key was seen, and ${describeResult(result)} is ${ambiguous}`,
                probe: operation.event.probe.name,
              },
            ],
          };
    const evidence: Evidence[] = [];
    if (holder) evidence.push({ event: holder.registered.event, operation: holder.registered, note: "registered" });
    evidence.push({ event: operation.event, operation, note: "registered again: refused" });
    const finding = this.#finding(operation, holder, evidence, judgement);
    finding.sure = `the return value ${result} (${describeResult(result)}) says that the key is taken`;
    finding.explanation = holder
      ? `${operation.function}() was called for a key that was registered already, and failed with ${describeResult(result)}.`
      : `${operation.function}() failed with ${describeResult(result)}: the table has this key already.`;
    return finding;
  }

  #taken({ entry, before }: { entry: Registration; before: Registration }): Finding {
    const judgement = judgeAbsence(this.#context, {
      class: entry.class,
      effect: "unregister",
      after: before.registered.event,
      before: entry.registered.event,
    });
    const evidence: Evidence[] = [
      { event: before.registered.event, operation: before.registered, note: "registered" },
      { event: entry.registered.event, operation: entry.registered, note: "registered again" },
    ];
    const finding = this.#finding(entry.registered, before, evidence, judgement);
    finding.sure = "the table accepts duplicates, and no unregister lies between the two";
    finding.explanation = `${entry.registered.function}() was called twice for one key, and the table took both.`;
    return finding;
  }

  #finding(
    operation: Refusal["operation"],
    holder: Registration | null,
    evidence: Evidence[],
    judgement: Judgement,
  ): Finding {
    const object = describeEntry(
      this.#context,
      operation.class,
      operation.key,
      holder?.registered ?? operation,
      holder?.generation ?? 1,
    );
    return makeFinding({
      rule: "double-registration",
      variant: "reg-double",
      judgement,
      class: operation.class,
      object,
      title: `${object.label} was registered while it was registered`,
      explanation: "",
      expected: "one register per key, and an unregister before the next",
      sure: "",
      function: operation.function,
      event: operation.event,
      evidence,
      trigger: operation,
    });
  }
}
