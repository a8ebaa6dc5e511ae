import type { ClassEntry } from "../../collectors/catalog/schema.js";
import type { Call, Operation } from "../decode/operation.js";
import type { LedgerStep } from "../lifecycle/ledger.js";
import { isCountedClass, type KernelObject } from "../lifecycle/objects.js";
import { keepFirst } from "./cases.js";
import {
  counterFinding,
  isCounted,
  isDestroyer,
  isGarbage,
  isSaturated,
  judgeAfterDestroy,
  storyOf,
} from "./counted.js";
import { ReadCounters } from "./counter-values.js";
import type { Finding } from "./finding.js";
import type { Rule, RuleContext, RuleWatch } from "./rule.js";
import { type Judgement, judgementOf, lossesBetween, PROVEN } from "./verdict.js";

export const useAfterRelease: Rule = {
  meta: {
    id: "use-after-release",
    title: "an object was used after it was gone",
    variants: ["use-after-release", "get-after-zero", "double-destroy", "reg-after-release"],
    page: `
An operation reached an object whose last reference had been dropped or whose destruction had returned. A get that
reads zero (get-after-zero) revives what is being freed; a second destruction frees twice; what is registered after its
memory was freed (reg-after-release) is called back there.

How ktally knows: the value that the get itself read is zero or less (proven); or operations on an address after its
destruction although every creation at that address would have been seen, and none was (derived).

Not accused: an attempt (kvm_get_kvm_safe, refcount_inc_not_zero) that fails on a dying object; a new object at an
address that comes back; the destruction's own phases.

Fixed before: giving every file that uses a VM a reference of its own (eed3013faa40).
`,
  },
  watch: (context) => [new UseAfterRelease(context)],
};

/** A put of a destroyed object is one put too many: another rule's. */
const USES: readonly string[] = ["get", "use"];

class UseAfterRelease implements RuleWatch {
  readonly #context: RuleContext;
  readonly #values = new ReadCounters();
  readonly #fromZero = new Map<KernelObject, { operation: Operation; value: number }>();
  readonly #afterDestroy = new Map<KernelObject, Operation>();
  /** Destructions of what had been destroyed, by the same function. */
  readonly #twice = new Map<KernelObject, Operation>();
  /** Operations on memory that was an object's and holds no counter any more. */
  readonly #garbage = new Map<KernelObject, Operation>();
  /** Uses of an object that is not recorded, when none was left that it could be. */
  readonly #nameless = new Map<KernelObject, Operation>();

  constructor(context: RuleContext) {
    this.#context = context;
  }

  hears(entry: ClassEntry): boolean {
    return isCountedClass(entry) || entry.kind === "object";
  }

  operation(operation: Operation, object: KernelObject, _step: LedgerStep | null, afterDestroy: boolean): void {
    this.#checkGet(operation, object);
    if (!afterDestroy || operation.outcome !== "done" || !USES.includes(operation.effect)) return;
    // Values judge themselves, and the destroyer may well touch what it is about to free.
    if (operation.read !== null || isDestroyer(operation, object)) return;
    keepFirst(this.#afterDestroy, object, operation);
  }

  began(object: KernelObject, before: KernelObject | null): void {
    const first = object.first;
    if (before?.state === "destroyed" && object.created === null && first.effect === "destroy" && first.read === null) {
      if (before.destroyed?.function === first.function) keepFirst(this.#twice, before, first);
    }
    if (before?.state !== "destroyed" || !isCounted(object) || object.created !== null) return;
    if (USES.includes(first.effect) && isGarbage(first)) keepFirst(this.#garbage, before, first);
  }

  called({ operations }: Call): void {
    for (const operation of operations) {
      if (operation.effect !== "use" || operation.object !== null) continue;
      const object = this.#context.departed.lastBefore(operation);
      if (object !== null && !isDestroyer(operation, object)) keepFirst(this.#nameless, object, operation);
    }
  }

  updated(operation: Operation, object: KernelObject, what: "outcome" | "read"): void {
    if (what === "read" && isCounted(object)) this.#checkGet(operation, object);
  }

  #checkGet(operation: Operation, object: KernelObject): void {
    const { read } = operation;
    this.#values.note(operation);
    if (operation.effect !== "get" || operation.outcome !== "done" || read === null || read.guess) return;
    if (isSaturated(operation) || isGarbage(operation)) return;
    const unused = object.class.counter?.unused ?? 0;
    if (read.when !== "before" || read.value > unused) return;
    keepFirst(this.#fromZero, object, { operation, value: read.value });
  }

  findings(): Finding[] {
    const findings = [...this.#fromZero].map(([object, { operation, value }]) => {
      const evidence = storyOf(object, operation, `taken although the counter is ${value}`);
      const doubt = this.#values.doubt(object.class);
      const judgement = doubt ? judgementOf([doubt]) : PROVEN;
      const finding = counterFinding("use-after-release", "get-after-zero", object, operation, judgement, evidence);
      finding.title = `${finding.object.label}: a reference was taken after the last one was gone`;
      finding.explanation = `${operation.function} took a reference while the counter was ${value}.`;
      finding.expected = "a get only by who holds a reference, or an attempt that may fail";
      finding.sure = `the value ${value} was read at the get itself`;
      return finding;
    });
    for (const [object, operation] of this.#twice) {
      const finding = this.#used(object, operation, "double-destroy");
      if (finding) findings.push(finding);
    }
    for (const [object, operation] of this.#nameless) {
      const finding = this.#context.departed.sawAll(object.class) ? this.#used(object, operation) : null;
      if (finding === null) continue;
      const text = `which ${object.class.title} was used is not recorded: all that were seen had been destroyed`;
      finding.loweredBy.push({ code: "no-object", text, probe: operation.event.probe.name });
      finding.verdict = "suspected";
      findings.push(finding);
    }
    for (const [object, operation] of this.#garbage) findings.push(this.#overwritten(object, operation));
    for (const [object, operation] of this.#afterDestroy) {
      const finding = this.#used(object, operation, isRegister(operation) ? "reg-after-release" : undefined);
      if (finding) findings.push(finding);
    }
    return findings;
  }

  /** The memory was freed and has other content by now. */
  #overwritten(object: KernelObject, operation: Operation): Finding {
    const from = object.destroyed?.event.time ?? object.last.event.time;
    const loweredBy = lossesBetween(this.#context, from, operation.event.time);
    const doubt = this.#values.doubt(object.class);
    if (doubt) loweredBy.push(doubt);
    const judgement: Judgement = judgementOf(loweredBy);
    const evidence = storyOf(object, operation, `used after its destruction: ${operation.read?.value} is no count`);
    const finding = counterFinding("use-after-release", "use-after-release", object, operation, judgement, evidence);
    finding.title = `${finding.object.label} was used after its destruction`;
    finding.explanation = `${object.destroyed?.function} had destroyed it; ${operation.function} then read ${operation.read?.value} where the counter had been.`;
    finding.expected = "no operation on an object after its destruction";
    finding.sure = `${operation.read?.value} is no value that a counter of a live object has`;
    return finding;
  }

  #used(object: KernelObject, operation: Operation, variant = "use-after-release"): Finding | null {
    const judgement = judgeAfterDestroy(this.#context, object, operation);
    if (judgement === null) return null;
    const did = variant === "double-destroy" ? "destroyed again" : "used after its destruction";
    const evidence = storyOf(object, operation, did);
    const finding = counterFinding("use-after-release", variant, object, operation, judgement, evidence);
    finding.title = `${finding.object.label} was ${did}`;
    finding.explanation = `${object.destroyed?.function} had destroyed it when ${operation.function} was called on it.`;
    finding.expected = "no operation on an object after its destruction";
    finding.sure = "a new object at this address would have been seen to be created";
    return finding;
  }
}

/** Whether the call hands the object, or a part of it, to a table. */
function isRegister({ call }: Operation): boolean {
  return (
    call?.function.meanings.some(({ entry }) => entry.effects.some(({ effect }) => effect === "register")) === true
  );
}
