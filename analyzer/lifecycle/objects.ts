/**
 * Lives of objects. Addresses come back, so only generations circulate: a new one begins with a creation, or when a
 * counter is above its unused value although the object before was gone (design, section 8.2).
 */
import { functionsWith } from "../../collectors/catalog/catalog.js";
import type { ClassEntry } from "../../collectors/catalog/schema.js";
import type { AuditEvent, ObjectKey, Operation } from "../decode/operation.js";
import { type CounterLedger, Ledger, type LedgerStep } from "./ledger.js";
import { PrintedLedger } from "./printed-ledger.js";

export type ObjectState =
  | "alive"
  /** Its destruction was seen. */
  | "destroyed"
  /** Another object has its address: its end was not seen. */
  | "replaced";

export interface KernelObject {
  id: number;
  class: ClassEntry;
  key: ObjectKey;
  /** The life that it belongs to, where its creation tells. */
  parent: KernelObject | null;
  /** n-th life at this address (or of this name), 1-based. */
  generation: number;
  state: ObjectState;
  created: Operation | null;
  destroyed: Operation | null;
  first: Operation;
  last: Operation;
  ledger: CounterLedger | null;
  /**
   * Operations in order: all of a short life, the first and last ones of a long one, little of one that ended long ago
   * and as it should.
   */
  history: Operation[];
  /** Operations left out of `history`. */
  omitted: number;
  /** Number of losses the audit had met when the object was last touched. */
  lossesSeen: number;
  /** Losses that fell into its life. */
  losses: number;
}

const HISTORY = 64;
/** Dropped at once, so that a long life is not moved along with each operation. */
const HISTORY_SLACK = 64;
/** Destroyed objects that are remembered for late uses: memory stays bounded however long the trace is. */
const MAX_DEAD = 4096;
/** The objects destroyed last: of these all may still be asked for. */
const MAX_FRESH = 64;

/** What an operation did to the object it is about. */
export interface Applied {
  object: KernelObject;
  step: LedgerStep | null;
  /** This operation began the life. */
  began: boolean;
  /** The life before, when this operation began a new one at its key. */
  before: KernelObject | null;
  /** The operation came after the object's destruction and nothing tells of a new life. */
  afterDestroy: boolean;
}

/** What all lives of a class so far leave open: the ground that its coverage stands on. */
export interface LivesSummary {
  lives: number;
  /** Breaks in all ledgers, and the first life that has one. */
  breaks: number;
  broken: KernelObject | null;
  /** The first life with operations whose counter was not read. */
  unread: KernelObject | null;
  /** The first life that reached its unused value and was not seen to be destroyed. */
  endUnseen: KernelObject | null;
  /** The first life that was destroyed while references were left, as far as seen. */
  lastPutUnseen: KernelObject | null;
  /** Values read in all lives. */
  reads: number;
  /** Lives whose counter was seen to reach its unused value. */
  ended: number;
}

export class ObjectTracker {
  readonly #summaries = new Map<string, LivesSummary>();
  readonly #byClass = new Map<string, Map<ObjectKey, KernelObject>>();
  /** Destroyed objects, in the order of their end. */
  readonly #dead = new Set<KernelObject>();
  /** The last of them. */
  readonly #fresh = new Set<KernelObject>();
  /** Lives at the keys of objects that are forgotten. */
  readonly #pastLives = new Map<string, Map<ObjectKey, number>>();
  readonly #onSettled: (object: KernelObject) => void;
  readonly #onForget: (object: KernelObject) => void;
  #lastId = 0;

  /** `onSettled` is told of objects a while after their end, `onForget` of those that are about to be dropped. */
  constructor(
    onSettled: (object: KernelObject) => void = () => {},
    onForget: (object: KernelObject) => void = () => {},
  ) {
    this.#onSettled = onSettled;
    this.#onForget = onForget;
  }

  /** The present or last life at a key. */
  find(entry: ClassEntry, key: ObjectKey): KernelObject | undefined {
    return this.#byClass.get(entry.class)?.get(key);
  }

  /**
   * The object whose memory an address lies in, when it is at most `size` bytes behind the object's start: a live one,
   * else one that was there.
   */
  containing(entry: ClassEntry, address: bigint, size: number): KernelObject | null {
    let found: KernelObject | null = null;
    for (const object of this.#byClass.get(entry.class)?.values() ?? []) {
      if (typeof object.key !== "bigint" || object.key > address || address - object.key > size) continue;
      if (found === null || isNearer(object, found)) found = object;
    }
    return found;
  }

  *all(): Generator<KernelObject> {
    for (const objects of this.#byClass.values()) yield* objects.values();
  }

  *alive(entry: ClassEntry): Generator<KernelObject> {
    for (const object of this.#byClass.get(entry.class)?.values() ?? []) {
      if (object.state === "alive") yield object;
    }
  }

  /** All lives are over: counts in the last one of each key. `last` is the audit's last event. Call once. */
  finish(last: AuditEvent | null): void {
    for (const object of this.all()) {
      if (last) object.ledger?.settle(last);
      object.ledger?.settle(null);
      this.#summarise(object);
    }
  }

  summary(entry: ClassEntry): LivesSummary {
    let summary = this.#summaries.get(entry.class);
    if (!summary) {
      summary = {
        ...{ lives: 0, breaks: 0, broken: null, unread: null },
        ...{ endUnseen: null, lastPutUnseen: null, reads: 0, ended: 0 },
      };
      this.#summaries.set(entry.class, summary);
    }
    return summary;
  }

  #summarise(object: KernelObject): void {
    const summary = this.summary(object.class);
    summary.lives++;
    const ledger = object.ledger;
    if (ledger === null) return;
    if (ledger.breakCount > 0) {
      summary.breaks += ledger.breakCount;
      summary.broken ??= object;
    }
    summary.reads += ledger.reads;
    if (ledger.unread > 0) summary.unread ??= object;
    const least = ledger.range()?.least ?? null;
    const unused = object.class.counter?.unused ?? 0;
    const isLeft = ledger.reads > 0 && least !== null && least > unused;
    if (object.state === "destroyed" && isLeft) summary.lastPutUnseen ??= object;
    if (ledger.reachedUnused !== null) summary.ended++;
    if (ledger.reachedUnused === null || object.state === "destroyed") return;
    // Where no function is catalogued that destroys it, reaching the unused value is all that shows the end.
    if (functionsWith(object.class, "destroy").length > 0) summary.endUnseen ??= object;
  }

  /** Takes an operation with a known object; `losses` is how many losses the audit has met so far. */
  apply(operation: Operation, losses: number): Applied {
    const key = operation.object;
    if (key === null) throw new Error("an operation without an object has no life to belong to");
    const objects = this.#objectsOf(operation.class);
    const known = objects.get(key);
    if (known) this.#meetLosses(known, losses);
    if (!known || this.#beginsNewLife(known, operation)) {
      known?.ledger?.settle(operation.event);
      if (known?.state === "alive") known.state = "replaced";
      if (known) this.#summarise(known);
      const object = this.#begin(operation, key, this.#livesAt(operation.class, key) + 1, losses);
      objects.set(key, object);
      if (known) this.#dead.delete(known);
      if (object.state === "destroyed") this.#bury(object);
      const step = counts(operation) ? (object.ledger?.take(operation) ?? null) : null;
      return { object, step, began: true, before: known ?? null, afterDestroy: false };
    }
    const wasDestroyed = known.state === "destroyed";
    remember(known, operation);
    if (operation.effect === "destroy" && operation.outcome === "done") this.#destroy(known, operation);
    const step = counts(operation) ? (known.ledger?.take(operation) ?? null) : null;
    return { object: known, step, began: false, before: null, afterDestroy: wasDestroyed };
  }

  /** The outcome of an operation told earlier is known now; null when it has no part in the present life yet. */
  update(operation: Operation, what: "outcome" | "read"): KernelObject | null {
    const object = operation.object === null ? undefined : this.find(operation.class, operation.object);
    if (!object?.history.includes(operation)) return null;
    if (what === "read") object.ledger?.refine(operation);
    else object.ledger?.resolve(operation);
    if (operation.outcome === "done" && operation.effect === "destroy") this.#destroy(object, operation);
    // It had been touched before its creator returned with an error: nothing is there any more.
    if (operation.outcome === "refused" && object.created === operation) this.#destroy(object, operation);
    return object;
  }

  #destroy(object: KernelObject, operation: Operation): void {
    object.state = "destroyed";
    object.destroyed ??= operation;
    this.#bury(object);
  }

  #bury(object: KernelObject): void {
    this.#dead.add(object);
    this.#fresh.add(object);
    if (this.#fresh.size > MAX_FRESH) {
      const [settled] = this.#fresh as Iterable<KernelObject>;
      if (settled) this.#settle(settled);
    }
    if (this.#dead.size <= MAX_DEAD) return;
    const [oldest] = this.#dead as Iterable<KernelObject>;
    if (oldest) this.#forget(oldest);
  }

  /** What came late of an object's end has come by now. */
  #settle(object: KernelObject): void {
    this.#fresh.delete(object);
    this.#onSettled(object);
    if (!endedWell(object)) return;
    const { history } = object;
    object.history = history.filter(
      (operation, index) =>
        index === 0 ||
        index === history.length - 1 ||
        operation.effect === "destroy" ||
        operation.outcome === "pending" ||
        operation.outcome === "unknown",
    );
    object.omitted += history.length - object.history.length;
  }

  #forget(object: KernelObject): void {
    this.#dead.delete(object);
    const name = object.class.class;
    const lives = this.#pastLives.get(name) ?? new Map<ObjectKey, number>();
    this.#pastLives.set(name, lives.set(object.key, object.generation));
    this.#byClass.get(name)?.delete(object.key);
    object.ledger?.settle(null);
    this.#summarise(object);
    this.#onForget(object);
  }

  #livesAt(entry: ClassEntry, key: ObjectKey): number {
    return this.find(entry, key)?.generation ?? this.#pastLives.get(entry.class)?.get(key) ?? 0;
  }

  #objectsOf(entry: ClassEntry): Map<ObjectKey, KernelObject> {
    let objects = this.#byClass.get(entry.class);
    if (!objects) {
      objects = new Map();
      this.#byClass.set(entry.class, objects);
    }
    return objects;
  }

  #begin(operation: Operation, key: ObjectKey, generation: number, losses: number): KernelObject {
    const creation = operation.effect === "create";
    const destruction = operation.effect === "destroy" && operation.outcome === "done";
    return {
      id: ++this.#lastId,
      class: operation.class,
      key,
      parent:
        operation.parent === null
          ? null
          : (this.#byClass.get(operation.class.parent ?? "")?.get(operation.parent) ?? null),
      generation,
      state: destruction ? "destroyed" : "alive",
      created: creation ? operation : null,
      destroyed: destruction ? operation : null,
      first: operation,
      last: operation,
      ledger: makeLedger(operation.class, creation),
      history: [operation],
      omitted: 0,
      lossesSeen: losses,
      losses: 0,
    };
  }

  #meetLosses(object: KernelObject, losses: number): void {
    if (losses === object.lossesSeen) return;
    if (object.state === "alive") {
      object.losses += losses - object.lossesSeen;
      object.ledger?.forgetValue();
    }
    object.lossesSeen = losses;
  }

  /** Whether an operation shows that the object seen last at this key is another one. */
  #beginsNewLife(known: KernelObject, operation: Operation): boolean {
    if (operation.effect === "create") {
      return known.created !== operation;
    }
    known.ledger?.settle(operation.event);
    const unused = known.class.counter?.unused ?? 0;
    const read = operation.read !== null && !operation.read.guess ? operation.read : null;
    const before = read === null ? null : read.when === "after" ? read.value - operation.delta : read.value;
    if (known.state === "destroyed") {
      // A value above unused is no freed object's; without a value, a second destruction tells of a life between.
      if (before !== null) return before > unused;
      return operation.effect === "destroy" && !isPhaseOf(known, operation);
    }
    if (known.ledger === null || known.ledger instanceof PrintedLedger) return false;
    return before !== null && before > unused && known.ledger.reachedUnused !== null;
  }
}

/** Of the live, and then of those that are gone, the one that begins last. */
function isNearer(object: KernelObject, other: KernelObject): boolean {
  if ((object.state === "alive") !== (other.state === "alive")) return object.state === "alive";
  return (object.key as bigint) > (other.key as bigint);
}

function makeLedger(entry: ClassEntry, created: boolean): CounterLedger | null {
  if (!entry.counter) return null;
  const start = created ? entry.counter.initial : null;
  const printed = Object.values(entry.tracepoints).some((tracepoint) => tracepoint.refs_after !== undefined);
  return printed ? new PrintedLedger(start) : new Ledger(start, entry.counter.unused);
}

/** Whether the counter is concerned: a get or put that was not refused, or a mere read of the value. */
function counts(operation: Operation): boolean {
  if (operation.outcome === "refused") return false;
  return operation.delta !== 0 || (operation.read !== null && operation.effect !== "create");
}

/** Destruction has phases of its own name (`kvm_destroy_vm`, then `kvm_arch_destroy_vm` inside it). */
function isPhaseOf(known: KernelObject, operation: Operation): boolean {
  return known.history.every(
    (earlier) => earlier.effect !== "destroy" || earlier.function !== operation.function || earlier === operation,
  );
}

/** Classes whose references are counted one by one; the module's are judged by a rule of their own. */
export function isCountedClass({ kind, class: name }: ClassEntry): boolean {
  return kind === "counted" && name !== "module";
}

/** Every value that was read fits, the last reference was dropped, and nothing came after the destruction. */
function endedWell({ last, ledger, losses, class: { counter } }: KernelObject): boolean {
  if (ledger === null || losses > 0 || last.effect !== "destroy") return false;
  return ledger.breakCount === 0 && ledger.value() === counter?.unused;
}

function remember(object: KernelObject, operation: Operation): void {
  object.last = operation;
  object.history.push(operation);
  if (object.history.length < HISTORY + HISTORY_SLACK) return;
  object.history.splice(HISTORY / 2, HISTORY_SLACK);
  object.omitted += HISTORY_SLACK;
}
