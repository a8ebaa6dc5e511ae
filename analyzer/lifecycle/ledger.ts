/**
 * The counter of one object over time.
 *
 * A probe reads the value before the counting instruction runs, so what two CPUs do at the same time may be seen in
 * either order. The ledger therefore holds every state that the operations seen so far allow: a value, and which of
 * the operations still in their window have taken effect in it (design, section 8.2). It is exact as long as one
 * state remains that explains each value read; otherwise something was not seen: a break.
 */
import { contextKey } from "../decode/calls.js";
import type { AuditEvent, Operation } from "../decode/operation.js";

/** A value read that no state explains: operations in between were not seen. */
export interface LedgerBreak {
  /** The operation whose read does not fit. */
  operation: Operation;
  /** Values that the operations seen would allow. */
  expected: readonly number[];
  read: number;
}

/** What the lifecycle core asks of a counter, however its values are told. */
export interface CounterLedger {
  take(operation: Operation): LedgerStep;
  refine(operation: Operation): LedgerStep;
  resolve(operation: Operation): void;
  settle(event: AuditEvent | null): void;
  /** Value when nothing is in flight, where it is certain. */
  value(): number | null;
  /** Least and greatest value that the counter has once all windows are closed; null when nothing is known. */
  range(): { least: number; greatest: number } | null;
  forgetValue(): void;
  /** The first ones; `breakCount` knows of how many. */
  readonly breaks: readonly LedgerBreak[];
  readonly breakCount: number;
  readonly first: number | null;
  readonly unread: number;
  readonly reads: number;
  readonly reachedUnused: Operation | null;
}

/** What the ledger says of an operation that it has just taken in. */
export interface LedgerStep {
  break: LedgerBreak | null;
  /** Value before the operation where it is certain. */
  before: number | null;
}

interface Open {
  operation: Operation;
  task: number;
  cpu: number;
  /** End of the window; null: the CPU's last record, so it never closes by time. */
  end: bigint | null;
  /** May not take place at all (a compare-and-exchange, a call whose result is not known). */
  maybe: boolean;
}

interface State {
  value: number;
  /** Bit per open operation that has taken effect in this state. */
  applied: number;
}

/** The first one tells where to look; bounds memory where an object's gets are not recorded. */
export const MOST_BREAKS = 16;
/** More operations than CPUs can have in flight: beyond it the oldest is taken as done. */
const MAX_OPEN = 8;
const MAX_STATES = 64;

export class Ledger implements CounterLedger {
  /** null until the first value is known. */
  #states: State[] | null;
  #open: Open[] = [];
  /** Operation that brought the counter to `unused` or below, while it is there. */
  #reachedUnused: Operation | null = null;
  #lastRetired: Operation | null = null;
  readonly #unused: number;

  readonly breaks: LedgerBreak[] = [];
  breakCount = 0;
  /** First value read (or the initial one, when the creation was seen). */
  first: number | null = null;
  /** Operations since the last value that was read. */
  unread = 0;
  reads = 0;

  constructor(start: number | null, unused: number) {
    this.#states = start === null ? null : [{ value: start, applied: 0 }];
    this.first = start;
    this.#unused = unused;
  }

  /** Takes in an operation on the counter (delta 0: a mere read). */
  take(operation: Operation): LedgerStep {
    this.settle(operation.event);
    const read = this.#usableRead(operation);
    let broken: LedgerBreak | null = null;
    if (read !== null) broken = this.#observe(operation, read);
    if (operation.delta === 0) return { break: broken, before: read };
    this.unread = read === null ? this.unread + 1 : 0;
    this.#push(operation);
    return { break: broken, before: read };
  }

  /** A site inside the call has told the value of an operation that was taken in without one. */
  refine(operation: Operation): LedgerStep {
    const read = this.#usableRead(operation);
    if (read === null) return { break: null, before: null };
    const index = this.#open.findIndex((open) => open.operation === operation);
    if (index < 0) return this.#states === null ? this.take(operation) : { break: null, before: null };
    this.unread = 0;
    const broken = this.#observe(operation, read, index);
    return { break: broken, before: read };
  }

  /** The outcome of a call became known: it took place, or it did not. */
  resolve(operation: Operation): void {
    const index = this.#open.findIndex((open) => open.operation === operation);
    const open = this.#open[index];
    if (!open || this.#states === null) return;
    if (operation.outcome === "done") {
      open.maybe = false;
      this.#close(index);
    } else if (operation.outcome === "refused") {
      const bit = 1 << index;
      const without = this.#states.filter((state) => (state.applied & bit) === 0);
      this.#states = without.length > 0 ? without : this.#states;
      this.#remove(index);
    }
  }

  /** Closes the windows that have ended when this event happens. */
  settle(event: AuditEvent | null): void {
    for (let index = 0; index < this.#open.length; ) {
      const open = this.#open[index];
      if (open && (event === null || hasEnded(open, event))) this.#close(index);
      else index++;
    }
  }

  range(): { least: number; greatest: number } | null {
    if (this.#states === null) return null;
    let least = Number.POSITIVE_INFINITY;
    let greatest = Number.NEGATIVE_INFINITY;
    for (const state of this.#states) {
      let down = 0;
      let up = 0;
      for (const [index, open] of this.#open.entries()) {
        if ((state.applied & (1 << index)) !== 0) continue;
        const { delta } = open.operation;
        if (!open.maybe || delta < 0) down += delta;
        if (!open.maybe || delta > 0) up += delta;
      }
      least = Math.min(least, state.value + down);
      greatest = Math.max(greatest, state.value + up);
    }
    return { least, greatest };
  }

  value(): number | null {
    if (this.#states === null || this.#open.length > 0) return null;
    const [first] = this.#states;
    return first && this.#states.every((state) => state.value === first.value) ? first.value : null;
  }

  /** The operation that certainly brought the counter to its unused value or below; null while it is above. */
  get reachedUnused(): Operation | null {
    return this.#reachedUnused;
  }

  /** Whether events were lost that may have changed the counter: any value is possible until the next read. */
  forgetValue(): void {
    this.#states = null;
    this.#open = [];
    this.#reachedUnused = null;
  }

  /** A value that only its place suggests to be the counter's is no reading. */
  #usableRead(operation: Operation): number | null {
    const read = operation.read;
    return read === null || read.guess ? null : read.value;
  }

  #push(operation: Operation): void {
    if (this.#open.length >= MAX_OPEN) this.#close(0);
    this.#open.push({
      operation,
      task: contextKey(operation.event),
      cpu: operation.event.cpu,
      end: operation.event.nextOnCpu,
      maybe: operation.outcome !== "done",
    });
  }

  /** Keeps the states in which the counter can have had this value; without one, there is a break. */
  #observe(operation: Operation, read: number, except = -1): LedgerBreak | null {
    this.reads++;
    if (this.#states === null) {
      this.first ??= read;
      this.#states = this.#everySubset(read, except);
      return null;
    }
    const kept: State[] = [];
    for (const state of this.#states) {
      // The operation that reads has not run yet: a state in which it has cannot explain the value.
      if (except < 0 || (state.applied & (1 << except)) === 0) this.#explain(state, 0, read, except, kept);
    }
    if (kept.length > 0) {
      this.#states = unique(kept);
      return null;
    }
    const expected = [...new Set(this.#states.map((state) => state.value))].sort((a, b) => a - b);
    const broken = { operation, expected, read };
    if (this.breakCount++ < MOST_BREAKS) this.breaks.push(broken);
    this.#reachedUnused = null;
    this.#states = this.#everySubset(read, except);
    return broken;
  }

  /** All ways in which open operations may have taken effect so that the value is `read`. */
  #explain(state: State, from: number, read: number, except: number, kept: State[]): void {
    if (state.value === read) kept.push(state);
    for (let index = from; index < this.#open.length; index++) {
      const open = this.#open[index];
      const bit = 1 << index;
      if (!open || index === except || (state.applied & bit) !== 0) continue;
      const next = { value: state.value + open.operation.delta, applied: state.applied | bit };
      this.#explain(next, index + 1, read, except, kept);
    }
  }

  /** After a break, and at the first value, it is `read`, whichever of the open operations are part of it. */
  #everySubset(read: number, except: number): State[] {
    const states: State[] = [];
    for (let applied = 0; applied < 1 << this.#open.length; applied++) {
      if (except >= 0 && (applied & (1 << except)) !== 0) continue;
      states.push({ value: read, applied });
    }
    return states;
  }

  /** The window has ended: the operation has taken effect in every state (or, if it may not, in either way). */
  #close(index: number): void {
    const open = this.#open[index];
    if (!open) return;
    const bit = 1 << index;
    const states: State[] = [];
    for (const state of this.#states ?? []) {
      if ((state.applied & bit) !== 0) {
        states.push(state);
        continue;
      }
      states.push({ value: state.value + open.operation.delta, applied: state.applied | bit });
      if (open.maybe) states.push({ value: state.value, applied: state.applied | bit });
    }
    if (this.#states !== null) this.#states = unique(states);
    this.#lastRetired = open.operation;
    this.#remove(index);
  }

  #remove(index: number): void {
    this.#open.splice(index, 1);
    const low = (1 << index) - 1;
    for (const state of this.#states ?? []) {
      state.applied = (state.applied & low) | ((state.applied >> 1) & ~low);
    }
    if (this.#states !== null) this.#states = unique(this.#states);
    this.#noteUnused();
  }

  #noteUnused(): void {
    const range = this.range();
    if (range === null || range.greatest > this.#unused) this.#reachedUnused = null;
    else this.#reachedUnused ??= this.#lastRetired;
  }
}

function hasEnded(open: Open, event: AuditEvent): boolean {
  const sameTask = open.task === contextKey(event);
  // A call that may still return is open until its task does something else with the object.
  if (open.operation.outcome === "pending") return sameTask;
  if (sameTask || open.cpu === event.cpu) return true;
  return open.end !== null && open.end < event.time;
}

function unique(states: State[]): State[] {
  if (states.length < 2) return states;
  const seen = new Map<number, State>();
  for (const state of states) {
    seen.set(state.value * 2 ** MAX_OPEN + state.applied, state);
    if (seen.size >= MAX_STATES) break;
  }
  return [...seen.values()];
}
