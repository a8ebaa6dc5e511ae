/** What an event means: the words between decoding and the lifecycle core. */
import type { CataloguedFunction } from "../../collectors/catalog/catalog.js";
import type { ClassEntry, Effect, EffectEntry } from "../../collectors/catalog/schema.js";
import type { SourcedEvent } from "../import/timeline.js";
import type { Address, Nanoseconds, Probe } from "../import/trace-event.js";

/** A TraceEvent with its place in the audit. */
export interface AuditEvent extends SourcedEvent {
  /** Number of the event in the audit, 1-based; the store's key. */
  id: number;
}

/** Identity of an object within its class: an address, or a module's name. */
export type ObjectKey = Address | string;

/** A value of the counter as one event shows it. */
export interface CounterRead {
  value: number;
  /** `before` the operation (a probe on the instruction or at entry) or `after` it (module tracepoints). */
  when: "before" | "after";
  /** True where only the field's position suggests that it is the counter; never proves anything. */
  guess: boolean;
}

export type Outcome =
  /** The effect took place. */
  | "done"
  /** The function returned an error: nothing happened. */
  | "refused"
  /** The call has not returned yet. */
  | "pending"
  /** The result cannot be known: no return probe, or its event was lost. */
  | "unknown";

/** One effect of one event on one object. */
export interface Operation {
  class: ClassEntry;
  effect: Effect;
  /** What the catalog says of it; null for an inlined site and a tracepoint. */
  spec: EffectEntry | null;
  /** The event that shows it: of a call, its entry; where only the return was seen, that. */
  event: AuditEvent;
  /** The return's event, once seen. */
  returned: AuditEvent | null;
  /** Kernel function that contains the instruction, clone suffix removed; the event's name when unknown. */
  function: string;
  /** The operation is an instruction inside `function` rather than a call of it. */
  site: boolean;
  object: ObjectKey | null;
  /** The function was called with this error pointer (`-EBADF`) in place of an object. */
  errorPointer: number | null;
  /** What the object or entry belongs to, where the event records it. */
  parent: ObjectKey | null;
  key: bigint | null;
  ops: Address | null;
  /** What entries exclude each other by, besides the key. */
  exclusive: bigint | null;
  holder: string | null;
  /** Plain count that is changed, one of the class's `counts`. */
  count: string | null;
  /** By how much `count` changes, where an argument says; else 1, or the result. */
  amount: number | null;
  /** Object that a pointer is set to, without a reference. */
  target: Address | null;
  /** Change of the counter: 1, -1, or 0 where the effect does not count. */
  delta: number;
  read: CounterRead | null;
  outcome: Outcome;
  /** Return value of an int or bool function. */
  result: number | null;
  refusal: "kernel" | "caller" | null;
  /** Function that a tracepoint names as its caller (`call_site=`). */
  callSite: string | null;
  /** Function that a tracepoint names as the one that a work runs. */
  callee: string | null;
  call: Call | null;
  /** The call around it that undoes it where it fails; undefined where nothing does, null where it was not seen. */
  undoneBy?: Call | null;
}

/** A counter's value that a snapshot read: tells what is, not that anything was done. */
export function isReading({ effect, event }: Operation): boolean {
  return effect === "use" && event.probe.system === "ktally";
}

/**
 * What the operation was on is not recorded: it may have been any object or entry. An instance is one of its kind, and
 * files are counted whatever they hold.
 */
export function isNameless({ class: entry, effect, object, key, holder, errorPointer }: Operation): boolean {
  if (holder !== null || errorPointer !== null || entry.kind === "instance" || entry.kind === "machine") return false;
  const isKeyed = effect === "register" || effect === "unregister" || effect === "link" || effect === "unlink";
  return (isKeyed ? key : object) === null;
}

/** What is no part of an object's references, and so of its life: plain counts, uncounted pointers, states, work. */
export function isAside(of: EffectEntry | Operation): boolean {
  if (of.effect === "queue" || of.effect === "run" || of.effect === "cancel") return true;
  if ((of.count ?? null) !== null || of.effect === "link" || of.effect === "unlink") return true;
  return "class" in of && of.class.kind === "machine";
}

/** A call of a catalogued function by one task, from entry to return as far as both are seen. */
export interface Call {
  function: CataloguedFunction;
  entry: AuditEvent;
  /** Probes that have reported this call's entry: a second tracer's probe sees the same call again. */
  entryProbes: Probe[];
  /** Values of the prototype's parameters; null where the event does not carry them. */
  parameters: readonly (bigint | null)[];
  operations: Operation[];
  /** Operations of calls inside it that it undoes where it fails. */
  undoes: Operation[];
  /** Set when the return was seen. */
  returned: AuditEvent | null;
}

/** What decoding tells the core, in order. */
export type Signal =
  /** A catalogued function was entered. */
  | { kind: "call"; call: Call }
  /** A new operation. */
  | { kind: "operation"; operation: Operation }
  /** An operation told earlier is now known better: its outcome, or its counter value from a site inside the call. */
  | { kind: "update"; operation: Operation; what: "outcome" | "read" }
  /** A call returned (catalogued functions only). */
  | { kind: "return"; call: Call; result: number | null; at: Nanoseconds };
