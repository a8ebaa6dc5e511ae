/** What the rules on counters share: the finding's skeleton and an object's story. */
import type { ClassEntry, EffectEntry } from "../../collectors/catalog/schema.js";
import { isInside } from "../decode/calls.js";
import type { ProbeUse } from "../decode/decoder.js";
import type { Operation } from "../decode/operation.js";
import { isCountedClass, type KernelObject } from "../lifecycle/objects.js";
import { showsEffect } from "../lifecycle/shown.js";
import { describeObject } from "./describe.js";
import type { Evidence, Finding, RuleId } from "./finding.js";
import { makeFinding, taskOf } from "./make.js";
import type { RuleContext } from "./rule.js";
import { type Judgement, judgeAbsence, judgementOf } from "./verdict.js";

/** Classes whose references the counter rules judge; module references are judged by a rule of their own. */
export function isCounted(object: KernelObject): boolean {
  return isCountedClass(object.class);
}

/**
 * Judges an operation without a value on an object that was destroyed: null where a creation in between may have gone
 * unrecorded, or the destroyer itself may have done it.
 */
export function judgeAfterDestroy(context: RuleContext, object: KernelObject, operation: Operation): Judgement | null {
  const { destroyed, class: entry } = object;
  if (!destroyed) return null;
  // Where the object is known, so is the one that a creation is about, whether it succeeds or not.
  const shows = operation.object === null ? showsResult : showsAttempt;
  if (!creatorsAre(context, entry, shows)) return null;
  // Something was created in between, and nobody knows where: here, most likely.
  const [from, to] = [destroyed.event.time, operation.event.time];
  if (context.nameless.between(entry, ["create"], from, to) !== null) return null;
  const absence = { class: entry, effect: "create", after: destroyed.event, before: operation.event } as const;
  const { loweredBy } = judgeAbsence(context, absence);
  if (loweredBy.length > 0) return judgementOf(loweredBy);
  if (object.created === null && creatorsOf(entry).some(({ effect }) => effect.object !== undefined)) {
    const text = "nobody saw it created either: creations may be recorded under another address";
    loweredBy.push({ code: "no-object", text, probe: operation.event.probe.name });
  }
  const next = context.world.objects.find(entry, object.key);
  if (next !== undefined && next !== object && next.first !== operation) {
    const text = "the address was used again later: another object may have been there";
    loweredBy.push({ code: "unseen-end", text, probe: null });
  }
  return judgementOf(loweredBy);
}

/** More references than an object of any class has: what is read is no counter any more. */
const GARBAGE_ABOVE = 1_000_000;

/** A value that no counter of a live object has: the memory belongs to somebody else. */
export function isGarbage(operation: Operation): boolean {
  const { read } = operation;
  if (read === null || read.guess) return false;
  return Math.abs(read.value) > GARBAGE_ABOVE && !isSaturated(operation);
}

/** REFCOUNT_SATURATED is INT_MIN / 2, and the counter stays near it, whatever is done (include/linux/refcount.h). */
const SATURATED = -0x4000_0000;
const NEAR_SATURATED = 0x10_0000;

/** The counter had gone wrong before this operation, and counts nothing any more. */
export function isSaturated({ read }: Operation): boolean {
  return read !== null && !read.guess && Math.abs(read.value - SATURATED) < NEAR_SATURATED;
}

/** Whether the operation may be part of the destruction: the same task, and not known to be outside of it. */
export function isDestroyer(operation: Operation, object: KernelObject): boolean {
  const destroyed = object.destroyed;
  if (!destroyed || destroyed.event.tid !== operation.event.tid) return false;
  if (destroyed.returned !== null && destroyed.returned.id < operation.event.id) return false;
  return isInside(operation.event, destroyed.function, destroyed.event) !== false;
}

/** Whether every function that creates such objects is recorded, with its result where that decides. */
export function recordsCreators(context: RuleContext, entry: ClassEntry): boolean {
  return creatorsAre(context, entry, showsResult);
}

type Shows = (use: ProbeUse, entry: ClassEntry, effect: EffectEntry) => boolean;

function showsResult(use: ProbeUse, entry: ClassEntry): boolean {
  return showsEffect(use, entry, ["create"]);
}

/** Whether a probe shows at least that a creation of some object is tried. */
function showsAttempt(use: ProbeUse, entry: ClassEntry, { object }: EffectEntry): boolean {
  const { interpretation: meaning, named } = use;
  if (meaning.role !== "entry" || !named) return showsResult(use, entry);
  const index = meaning.function.prototype.parameters.findIndex(({ name }) => name === object);
  return (meaning.arguments.parameters[index] ?? -1) >= 0 || showsResult(use, entry);
}

function creatorsAre(context: RuleContext, entry: ClassEntry, shows: Shows): boolean {
  const creators = creatorsOf(entry);
  return creators.length > 0 && creators.every(({ name, effect }) => isRecorded(context, entry, name, effect, shows));
}

function creatorsOf(entry: ClassEntry): { name: string; effect: EffectEntry }[] {
  return Object.entries(entry.functions).flatMap(([name, { effects }]) =>
    effects.filter(({ effect }) => effect === "create").map((effect) => ({ name, effect })),
  );
}

function isRecorded(context: RuleContext, entry: ClassEntry, name: string, effect: EffectEntry, shows: Shows): boolean {
  let isShown = false;
  let isInsideShown = effect.within === undefined;
  for (const use of context.decoder.uses) {
    const meaning = use.interpretation;
    if (meaning.role !== "entry" && meaning.role !== "return") continue;
    if (meaning.function.name === name) isShown ||= shows(use, entry, effect);
    else if (meaning.function.name === effect.within) isInsideShown = true;
  }
  return isShown && isInsideShown;
}

/** The object's operations up to and including one, as evidence; the one that matters bears the note. */
export function storyOf(object: KernelObject, until: Operation, note: string): Evidence[] {
  const end = object.history.indexOf(until);
  const before = ({ event }: Operation) => event.id <= until.event.id;
  const operations = end < 0 ? [...object.history.filter(before), until] : object.history.slice(0, end + 1);
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
  const { event, function: name } = culprit;
  return makeFinding({
    rule,
    variant,
    judgement,
    class: object.class,
    object: describeObject(object),
    title: "",
    explanation: "",
    expected: "",
    sure: "",
    function: name,
    event,
    context: event.comm === "" ? null : `run by ${taskOf(event)}`,
    evidence,
    trigger: culprit,
  });
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
