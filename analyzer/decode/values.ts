/** What the values of an event mean: arguments, objects, counters and results, however somebody recorded them. */
import { type CataloguedFunction, conditionsOf } from "../../collectors/catalog/catalog.js";
import { parseCondition } from "../../collectors/catalog/condition.js";
import type { ClassEntry, EffectEntry } from "../../collectors/catalog/schema.js";
import type { TraceEvent } from "../import/trace-event.js";
import { type Interpretation, isPointerLike } from "./interpret.js";
import type { CounterRead, ObjectKey, Outcome } from "./operation.js";

/** Values of the prototype's parameters, as far as the event carries them; null for the others. */
export function readParameters(
  event: TraceEvent,
  meaning: Extract<Interpretation, { role: "entry" }>,
): (bigint | null)[] {
  const { parameters, byPlace, counter } = meaning.arguments;
  return meaning.function.prototype.parameters.map((parameter, index) => {
    const field = parameters[index] ?? -1;
    const value = field < 0 ? null : (event.args[field] ?? null);
    if (typeof value !== "bigint") return null;
    if (parameter.pointer) {
      // A small negative number in a field of another name is no error pointer, but something else.
      const isElse = byPlace[index] === true && (!isPointerLike(value) || isErrorPointer(value));
      return isElse ? null : asAddress(value);
    }
    if (!isKernelAddress(value)) return value;
    // A number cannot be a pointer: somebody recorded one argument twice (as a symbol, too), so the next field is it.
    const next = event.args.findIndex(
      (candidate, at) => at > field && at !== counter?.field && !parameters.includes(at) && isCount(candidate),
    );
    return next < 0 ? null : (event.args[next] as bigint);
  });
}

/** The value of a parameter by its name: pointers whole, numbers as 32 bits. */
function parameterOf(
  name: string | undefined,
  known: CataloguedFunction,
  parameters: readonly (bigint | null)[],
): bigint | null {
  if (name === undefined) return null;
  const index = known.prototype.parameters.findIndex((parameter) => parameter.name === name);
  const value = parameters[index] ?? null;
  if (value === null) return null;
  return known.prototype.parameters[index]?.pointer === true ? value : BigInt.asUintN(32, value);
}

/** What the catalog calls `ops` or `ops->owner` in a call, as far as its entry was recorded with it. */
export function valueAt(
  word: string | undefined,
  known: CataloguedFunction,
  event: TraceEvent,
  parameters: readonly (bigint | null)[],
): bigint | null {
  if (word === undefined || !word.includes("->")) return parameterOf(word, known, parameters);
  const name = word.slice(word.lastIndexOf("->") + 2);
  const value = event.args[event.probe.fields.findIndex((field) => field.toLowerCase() === name)] ?? null;
  return typeof value === "bigint" ? asAddress(value) : null;
}

/** Whether only the return tells that an effect takes place, or completes it. */
export function waitsForReturn(effect: EffectEntry): boolean {
  return effect.at === "return" || conditionsOf(effect).some((text) => parseCondition(text)?.of === "ret");
}

/** Whether the arguments meet an effect's conditions; null where one is not recorded. */
export function isMetByArguments(
  effect: EffectEntry,
  known: CataloguedFunction,
  event: TraceEvent,
  parameters: readonly (bigint | null)[],
): boolean | null {
  let met: boolean | null = true;
  for (const text of conditionsOf(effect)) {
    const condition = parseCondition(text);
    if (!condition || condition.of === "ret") continue;
    const value = valueAt(condition.of, known, event, parameters);
    if (value !== null && !condition.holds(value)) return false;
    if (value === null) met = null;
  }
  return met;
}

/** The object that an effect is about: the argument that the catalog names, or a field that bears its name. */
export function objectOf(
  effect: EffectEntry,
  entry: ClassEntry,
  event: TraceEvent,
  meaning: Extract<Interpretation, { role: "entry" }>,
  parameters: readonly (bigint | null)[],
): ObjectKey | null {
  if (effect.object !== undefined) {
    const value = valueAt(effect.object, meaning.function, event, parameters);
    if (value !== null) return value === 0n ? null : value;
  }
  // A recorded field that bears the class's name for its objects (`kvm=` at kvm_vcpu_release).
  const field = meaning.arguments.object;
  if (field === null || !(entry.names ?? []).includes(event.probe.fields[field]?.toLowerCase() ?? "")) return null;
  const value = event.args[field];
  return isPointerLike(value ?? null) && value !== 0n ? asAddress(value as bigint) : null;
}

/** The counter's value at entry, by its field's name or (a guess) its place. */
export function readCounter(
  event: TraceEvent,
  meaning: Extract<Interpretation, { role: "entry" }>,
): CounterRead | null {
  const { counter } = meaning.arguments;
  const value = counter === null ? null : event.args[counter.field];
  if (counter === null || typeof value !== "bigint") return null;
  // A guessed counter that holds a pointer is some other register.
  if (counter.guess && (value < -1n || value > 0xffffn)) return null;
  return { value: asInt(value), when: "before", guess: counter.guess };
}

/** By how much a plain count changes; null where the result says it, or nobody. */
export function amountOf(
  { count, amount }: EffectEntry,
  known: CataloguedFunction,
  event: TraceEvent,
  parameters: readonly (bigint | null)[],
): number | null {
  if (count === undefined || amount === "ret") return null;
  if (amount === undefined) return 1;
  const value = valueAt(amount, known, event, parameters);
  return value === null ? null : asInt(value);
}

/** The value of a plain count, where a field bears its name. */
export function readCount(event: TraceEvent, entry: ClassEntry, { count }: EffectEntry): CounterRead | null {
  if (count === undefined) return null;
  const names = [count, ...(entry.counts[count]?.names ?? [])];
  const value = event.args[event.probe.fields.findIndex((field) => names.includes(field))] ?? null;
  return typeof value === "bigint" ? { value: asInt(value), when: "before", guess: false } : null;
}

interface SiteValues {
  object: bigint;
  refs: number | null;
  delta: number | null;
  guess: boolean;
}

/** Nothing is mapped in the first page: smaller numbers are offsets from a NULL pointer. */
const LAST_OF_NULL = 0xfffn;

/** Values of an in-body probe. Unnamed fields are told apart by what they hold: a pointer, 1 or -1, a count. */
export function siteValues(event: TraceEvent, meaning: Extract<Interpretation, { role: "site" }>): SiteValues | null {
  const { fields } = meaning;
  const args = event.args;
  const objectField =
    fields.object ??
    args.findIndex((value) => isPointerLike(value) && !isErrorPointer(value) && asAddress(value) > 0xffffffffn);
  const object = args[objectField] ?? null;
  // What bears the object's name may be its lower half, or a hash.
  const isShort = fields.object !== null && typeof object === "bigint" && object > LAST_OF_NULL;
  if (typeof object !== "bigint" || object === 0n || !(isShort || isPointerLike(object))) return null;
  let { refs, delta } = fields;
  let guess = false;
  if (delta === null || refs === null) {
    const small = [...args.keys()].filter(
      (index) => index !== objectField && index !== delta && index !== refs && isSmall(args[index] ?? null),
    );
    if (delta === null) {
      // A delta is 1 or -1; where both values could be one, the negative is it: counts below zero are rare.
      const steps = small.filter((index) => Math.abs(asInt(args[index] as bigint)) === 1);
      delta = steps.find((index) => asInt(args[index] as bigint) === -1) ?? steps[steps.length - 1] ?? null;
      if (refs === null && small.length < 2) delta = null;
    }
    if (refs === null) {
      refs = small.find((index) => index !== delta) ?? null;
      guess = true;
    }
  }
  // A value that could not be read is no number.
  const change = delta === null ? null : (args[delta] ?? null);
  const step = typeof change === "bigint" ? asInt(change) : null;
  const isStep = step === 1 || step === -1;
  return {
    object: asAddress(object),
    refs: refs === null || typeof args[refs] !== "bigint" ? null : asInt(args[refs] as bigint),
    delta: isStep ? step : null,
    // Two small numbers beside a base object, one of them a step, inside a function that counts: no mere guess. What
    // is no step was read at another instruction than was meant, and so was the counter.
    guess: (guess && delta === null) || (step !== null && !isStep),
  };
}

function isKernelAddress(value: bigint): boolean {
  return isPointerLike(value) && !isCount(value);
}

function isCount(value: bigint | string | null): value is bigint {
  return typeof value === "bigint" && value >= -0x8000_0000n && value <= 0xffff_ffffn;
}

/** A count, or a small negative number that was printed as 64 bits without a sign. */
function isSmall(value: bigint | string | null): boolean {
  return isCount(value) || (typeof value === "bigint" && isErrorPointer(value));
}

/** A 32-bit signed number, however the recording printed it (4294967295 is -1). */
export function asInt(value: bigint): number {
  const number = Number(value);
  return (number | 0) === number ? number : Number(BigInt.asIntN(32, value));
}

/** An address as the kernel prints it, however the recording did. */
export function asAddress(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}

/** IS_ERR(): the last page of the address space (include/linux/err.h). */
export function isErrorPointer(value: bigint): boolean {
  return asAddress(value) >= 0xffff_ffff_ffff_f001n;
}

/** The result of a function as its prototype says; of a pointer only an error. */
export function returnValue(known: CataloguedFunction, value: bigint | null): number | null {
  if (value === null) return null;
  switch (known.prototype.returns) {
    case "int":
      return asInt(value);
    case "bool":
      return Number(BigInt.asUintN(8, value));
    case "pointer":
      return isErrorPointer(value) ? asInt(value) : null;
    case "long":
      return value >= -0x8000_0000n && value <= 0x7fff_ffffn ? Number(value) : null;
    case "void":
      return null;
  }
}

/** Whether an effect took place, by the raw return value and what it means. */
export function outcomeOf(effect: EffectEntry | null, value: bigint | null, result: number | null): Outcome {
  const conditions = effect === null ? [] : conditionsOf(effect).map(parseCondition);
  const decisive = conditions.filter((condition) => condition?.of === "ret");
  if (decisive.length === 0) return "done";
  if (value === null) return "unknown";
  const seen = result === null ? asAddress(value) : BigInt(result);
  return decisive.every((condition) => condition?.holds(seen)) ? "done" : "refused";
}
