import type { ClassEntry } from "../../collectors/catalog/schema.js";
import type { Operation } from "../decode/operation.js";
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
import { doubtsBetween, type Judgement, judgementOf, lossesBetween, PROVEN } from "./verdict.js";

export const extraPut: Rule = {
  meta: {
    id: "extra-put",
    title: "more references were dropped than taken",
    variants: ["extra-put", "sat"],
    page: `
A reference was dropped that nobody held: the counter was read at or below zero by a put, went below zero by
operations that overlap, or the object had been destroyed. The object is freed under somebody who still uses it, or its destruction runs twice; a
refcount_t saturates instead, and the object leaks for ever.

How ktally knows: the value that the put itself read (proven); or two puts whose windows overlap and which both read the
last reference (derived).

Not accused: a trace in which puts outnumber gets, because gets are inlined; a value above zero at the same address
later (another object).

Fixed before: taking the reference before the file descriptor is visible (cfa39381173d, CVE-2019-6974).
`,
  },
  watch: (context) => [new ExtraPut(context)],
};

/** Puts further apart than this are no race for the last reference, but a gap in what was seen. */
const OVERLAP_NS = 10_000_000n;

class ExtraPut implements RuleWatch {
  readonly #context: RuleContext;
  readonly #values = new ReadCounters();
  readonly #proven = new Map<KernelObject, { operation: Operation; value: number }>();
  readonly #overlapping = new Map<KernelObject, Operation>();
  readonly #afterDestroy = new Map<KernelObject, Operation>();
  /** Files closed after the object that they held was destroyed. */
  readonly #heldOpen = new Map<KernelObject, Operation>();
  /** How many files of a kind are open, over all objects. */
  readonly #open = new Map<string, number>();

  constructor(context: RuleContext) {
    this.#context = context;
  }

  hears(entry: ClassEntry): boolean {
    return isCountedClass(entry);
  }

  operation(operation: Operation, object: KernelObject, _step: LedgerStep | null, afterDestroy: boolean): void {
    this.#check(operation, object);
    if (operation.effect !== "put") return;
    if (!afterDestroy || !isCounted(object) || operation.read !== null || isDestroyer(operation, object)) return;
    keepFirst(this.#afterDestroy, object, operation);
  }

  /** Who still has a file open holds a reference: the object cannot have been destroyed by right. */
  holder(operation: Operation): void {
    const kind = `${operation.class.class}/${operation.holder}`;
    const open = this.#open.get(kind) ?? 0;
    if (operation.outcome !== "refused") this.#open.set(kind, open + (operation.effect === "open" ? 1 : -1));
    if (operation.effect !== "close") return;
    const object =
      operation.object === null
        ? open > 0
          ? this.#context.departed.lastBefore(operation)
          : null
        : this.#closed(operation);
    if (object?.state !== "destroyed" || isDestroyer(operation, object)) return;
    keepFirst(this.#heldOpen, object, operation);
  }

  #closed({ class: entry, object }: Operation): KernelObject | null {
    return (object !== null && this.#context.world.objects.find(entry, object)) || null;
  }

  updated(operation: Operation, object: KernelObject, what: "outcome" | "read"): void {
    if (what === "read") this.#check(operation, object);
  }

  #check(operation: Operation, object: KernelObject): void {
    const { read, effect, outcome } = operation;
    this.#values.note(operation);
    if (read === null || !isCounted(object) || outcome !== "done" || (effect !== "put" && effect !== "get")) return;
    const unused = object.class.counter?.unused ?? 0;
    const isWrong = effect === "put" && !read.guess && read.value <= unused && !isGarbage(operation);
    if (isWrong || isSaturated(operation)) {
      keepFirst(this.#proven, object, { operation, value: read.value });
      return;
    }
    if (effect === "get") return;
    const range = object.ledger?.range() ?? null;
    if (range !== null && range.greatest < unused && !read.guess) {
      keepFirst(this.#overlapping, object, operation);
    }
  }

  findings(): Finding[] {
    const told = new Set<KernelObject>();
    const findings: Finding[] = [];
    for (const [object, { operation, value }] of this.#proven) {
      told.add(object);
      findings.push(this.#byValue(object, operation, value));
    }
    for (const [object, operation] of this.#overlapping) {
      if (!told.has(object)) findings.push(this.#byOverlap(object, operation));
      told.add(object);
    }
    for (const [object, close] of this.#heldOpen) {
      const finding = told.has(object) ? null : this.#byHolder(object, close);
      if (finding) findings.push(finding);
      told.add(object);
    }
    for (const [object, operation] of this.#afterDestroy) {
      const finding = told.has(object) ? null : this.#byDestruction(object, operation);
      if (finding) findings.push(finding);
    }
    return findings;
  }

  #byValue(object: KernelObject, operation: Operation, value: number): Finding {
    const saturated = isSaturated(operation);
    const did = operation.effect === "put" ? "dropped" : "took";
    const evidence = storyOf(object, operation, `${did} although the counter is ${value}`);
    const doubt = saturated ? null : this.#values.doubt(object.class);
    const judgement = doubt ? judgementOf([doubt]) : PROVEN;
    const finding = counterFinding(
      "extra-put",
      saturated ? "sat" : "extra-put",
      object,
      operation,
      judgement,
      evidence,
    );
    finding.title = saturated
      ? `${finding.object.label}: the reference count is saturated`
      : `${finding.object.label} lost a reference that nobody held`;
    finding.explanation = `${operation.function} ${did} a reference while the counter was ${value}.`;
    finding.expected = "no put after the last reference is gone";
    finding.sure = `the value ${value} was read at the ${operation.effect} itself`;
    return finding;
  }

  #byOverlap(object: KernelObject, operation: Operation): Finding {
    const earlier = object.history.findLast(
      (candidate) => candidate !== operation && candidate.effect === "put" && candidate.event.id < operation.event.id,
    );
    const judgement = this.#judge(object, operation, earlier ?? null);
    const evidence = storyOf(object, operation, "both drop the last reference");
    const finding = counterFinding("extra-put", "extra-put", object, operation, judgement, evidence);
    const both = earlier ? `${earlier.function} and ${operation.function}` : operation.function;
    finding.title = `${finding.object.label} lost its last reference twice`;
    finding.explanation = `${both} overlap, and each read ${operation.read?.value}: the counter went below zero.`;
    finding.expected = "one put of the last reference";
    finding.sure = "the windows of the two puts overlap, and no get lies between them";
    return finding;
  }

  /** A file that held a reference was closed after the destruction. */
  #byHolder(object: KernelObject, close: Operation): Finding | null {
    const judgement: Judgement | null =
      isGarbage(close) && this.#values.doubt(object.class) === null
        ? judgementOf(lossesBetween(this.#context, object.first.event.time, close.event.time))
        : judgeAfterDestroy(this.#context, object, close);
    if (judgement === null) return null;
    if (close.object === null) {
      // One that was there before the trace may have been the file's.
      if (!this.#context.departed.sawAll(object.class)) return null;
      const text = `which ${object.class.title} the ${close.holder} held is not recorded: all that were seen had been destroyed`;
      judgement.loweredBy.push({ code: "no-object", text, probe: close.event.probe.name });
      judgement.verdict = "suspected";
    }
    const lastPut = object.history.findLast((operation) => operation.effect === "put") ?? close;
    const evidence = storyOf(object, object.last, "destroyed");
    evidence.push({ event: close.event, operation: close, note: `the ${close.holder} is closed only now` });
    const finding = counterFinding("extra-put", "extra-put", object, lastPut, judgement, evidence);
    finding.title = `${finding.object.label} was destroyed while a ${close.holder} was open`;
    finding.explanation = `Every ${close.holder} holds a reference, and one was closed after ${object.destroyed?.function} had run: one put was too many.`;
    finding.expected = "no put but of a reference that was taken";
    finding.sure = `${close.function} ran ${close.object === null ? "" : "for it "}after its destruction`;
    return finding;
  }

  /** No value was recorded, but the object had been destroyed. */
  #byDestruction(object: KernelObject, operation: Operation): Finding | null {
    const judgement = judgeAfterDestroy(this.#context, object, operation);
    if (judgement === null) return null;
    const evidence = storyOf(object, operation, "dropped after its destruction");
    const finding = counterFinding("extra-put", "extra-put", object, operation, judgement, evidence);
    finding.title = `${finding.object.label} lost a reference after its destruction`;
    finding.explanation = `${object.destroyed?.function} had destroyed it when ${operation.function} was called on it: one put was too many.`;
    finding.expected = "no put after the last reference is gone";
    finding.sure = "a new object at this address would have been seen to be created";
    return finding;
  }

  #judge(object: KernelObject, operation: Operation, earlier: Operation | null): Judgement {
    const from = earlier?.event.time ?? object.first.event.time;
    const loweredBy = doubtsBetween(this.#context, object.class, ["get"], from, operation.event.time);
    const contradicted = (object.ledger?.breakCount ?? 0) > 0 || this.#livesOn(object);
    const end = earlier?.event.nextOnCpu ?? null;
    const overlaps = end !== null && operation.event.time <= end && operation.event.time - from <= OVERLAP_NS;
    if (contradicted || !overlaps) {
      const text = "a reference may have been taken unseen in between";
      loweredBy.push({ code: "unseen-change", text, probe: operation.event.probe.name });
    }
    return judgementOf(loweredBy);
  }

  /** The object was used by value after it should have been gone. */
  #livesOn(object: KernelObject): boolean {
    const next = this.#context.world.objects.find(object.class, object.key);
    return next !== undefined && next !== object && next.created === null && next.first.effect !== "destroy";
  }
}
