/**
 * A counter whose value is printed after each operation (the module tracepoints).
 *
 * The operation is done before the tracepoint reads the counter, so a value may already hold what another CPU has
 * done and not yet recorded. Such a difference is owed by an operation that is about to be recorded; only when none
 * comes is it a break.
 */
import type { AuditEvent, Operation } from "../decode/operation.js";
import { type CounterLedger, type LedgerBreak, type LedgerStep, MOST_BREAKS } from "./ledger.js";

/** Between the operation and its tracepoint lie a few instructions; this is ample even under emulation. */
const RECORDED_WITHIN = 10_000_000n;
/** More operations than CPUs can have between the operation and its tracepoint; a damaged value may be any number. */
const MOST_IN_FLIGHT = 256;

export class PrintedLedger implements CounterLedger {
  #value: number | null;
  /** Changes seen in a value before their own record, one entry per step of 1 or -1. */
  #owed: { step: number; break: LedgerBreak; time: bigint }[] = [];
  /** The last break told: what a value is off by is owed in steps, and all of them are one break. */
  #told: LedgerBreak | null = null;
  readonly breaks: LedgerBreak[] = [];
  breakCount = 0;
  readonly unread = 0;
  readonly reachedUnused = null;
  first: number | null;
  reads = 0;
  /** Until then operations may be recorded that the first value read held already: what seems owed may be theirs. */
  #startsUntil = 0n;

  constructor(start: number | null) {
    this.#value = start;
    this.first = start;
  }

  take(operation: Operation): LedgerStep {
    this.settle(operation.event);
    const read = operation.read?.value ?? null;
    if (read === null) return { break: null, before: null };
    this.reads++;
    const before = read - operation.delta;
    this.first ??= before;
    if (this.#value === null) {
      this.#value = read;
      this.#startsUntil = operation.event.time + RECORDED_WITHIN;
      return { break: null, before };
    }
    if (this.#owed.length === 0 && read === this.#value + operation.delta) {
      this.#value = read;
      return { break: null, before };
    }
    const owed = this.#owed.findIndex((debt) => debt.step === operation.delta);
    let expected = this.#value + operation.delta;
    if (owed >= 0) {
      this.#owed.splice(owed, 1);
      expected = this.#value;
    }
    this.#value = read;
    const step = Math.sign(read - expected);
    const steps = Math.abs(read - expected);
    const broken: LedgerBreak = { operation, expected: [expected], read };
    if (steps > MOST_IN_FLIGHT) {
      this.#noteBreak(broken);
      return { break: broken, before };
    }
    for (let count = steps; count > 0; count--) {
      this.#owed.push({ step, break: broken, time: operation.event.time });
    }
    return { break: null, before };
  }

  refine(): LedgerStep {
    return { break: null, before: null };
  }

  resolve(): void {}

  settle(event: AuditEvent | null): void {
    // What is owed when the trace ends would have been recorded a moment later.
    while (event !== null && this.#owed[0] && event.time - this.#owed[0].time > RECORDED_WITHIN) {
      const debt = this.#owed.shift();
      if (!debt || debt.time < this.#startsUntil || debt.break === this.#told) continue;
      this.#told = debt.break;
      this.#noteBreak(debt.break);
    }
  }

  #noteBreak(broken: LedgerBreak): void {
    if (this.breakCount++ < MOST_BREAKS) this.breaks.push(broken);
  }

  value(): number | null {
    return this.#owed.length > 0 ? null : this.#value;
  }

  range(): { least: number; greatest: number } | null {
    return this.#value === null ? null : { least: this.#value, greatest: this.#value };
  }

  forgetValue(): void {
    this.#value = null;
    this.#owed = [];
  }
}
