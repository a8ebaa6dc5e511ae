/** Operations on an object: by page, and as steps of its counter. */
import { big, number, numberOrNull, type Row, text } from "../cells.js";
import type { RecordingFacts } from "./recording.js";
import type { Statements, Value } from "./statements.js";

/** One operation on an object. */
export interface OperationRow {
  event: number;
  time_ns: bigint;
  cpu: number;
  tid: number;
  comm: string;
  function: string;
  /** An instruction inside the function. */
  isSite: boolean;
  effect: string;
  delta: number;
  /** Counter before the operation, where it was read. */
  refs: number | null;
  outcome: string;
  result: number | null;
  stack: number | null;
}

export interface CounterRow {
  time_ns: bigint;
  /** 0 for an operation that was refused. */
  delta: number;
  refs: number | null;
}

const OPERATION = `SELECT l.event, e.time_ns, e.cpu, e.tid, t.comm, k.function, k.site, k.effect, k.delta, l.refs, l.outcome,
                          l.result, e.stack
                   FROM ledger l JOIN operations k ON k.id = l.operation
                   JOIN events e ON e.id = l.event JOIN tasks t ON t.id = e.task`;

/** In the order in which they happened. */
export class OperationPages {
  readonly #rows: Statements;
  readonly #recording: RecordingFacts;

  constructor(rows: Statements, recording: RecordingFacts) {
    this.#rows = rows;
    this.#recording = recording;
  }

  count(object: number): number {
    return number(this.#rows.get("SELECT count(*) AS n FROM ledger WHERE object = ?", object)?.n);
  }

  /** Operations on an object in order. */
  page(object: number, offset: number, limit: number): OperationRow[] {
    return this.#operations(
      "l.rowid IN (SELECT rowid FROM ledger WHERE object = ? ORDER BY event, rowid LIMIT ? OFFSET ?) ORDER BY l.event, l.rowid",
      object,
      limit,
      offset,
    );
  }

  /** How many operations on the object come before an event: its place in `page`. */
  index(object: number, event: number): number {
    return number(this.#rows.get("SELECT count(*) AS n FROM ledger WHERE object = ? AND event < ?", object, event)?.n);
  }

  /** How many operations on the object come before a time. */
  indexAt(object: number, time: bigint): number {
    return this.index(object, this.#recording.eventAt(time));
  }

  /** Time of the first operation on an object, and of the last one. */
  span(object: number): { first: bigint; last: bigint } | null {
    const time = (order: "ASC" | "DESC") =>
      this.#rows.get(
        `SELECT e.time_ns FROM ledger l JOIN events e ON e.id = l.event WHERE l.object = ? ORDER BY l.event ${order} LIMIT 1`,
        object,
      )?.time_ns;
    const first = big(time("ASC"));
    const last = big(time("DESC"));
    return first === null || last === null ? null : { first, last };
  }

  /**
   * What changed an object's counter between two times, thinned out to about `most` steps: every step of a short span,
   * else the steps that come first in equal parts of it.
   */
  counterSteps(object: number, from: bigint, to: bigint, most: number): { steps: CounterRow[]; isThinned: boolean } {
    const first = this.#recording.eventAt(from);
    const last = this.#recording.eventAt(to + 1n);
    const steps = this.#steps(object, first, last, most);
    if (steps.length < most) return { steps, isThinned: false };
    const parts = Math.max(1, Math.floor(most / 8));
    const thinned: CounterRow[] = [];
    let begin = first;
    for (let part = 1; part <= parts; part++) {
      const end = first + Math.floor(((last - first) * part) / parts);
      thinned.push(...this.#steps(object, begin, end, 4));
      begin = end;
    }
    return { steps: thinned, isThinned: true };
  }

  /** The last thing that happened to an object's counter before a time: none, or one step. */
  counterBefore(object: number, time: bigint): CounterRow[] {
    return this.#operations(
      "l.object = ? AND l.event < ? ORDER BY l.event DESC, l.rowid DESC LIMIT 1",
      object,
      this.#recording.eventAt(time),
    ).map(counterRow);
  }

  #steps(object: number, from: number, to: number, limit: number): CounterRow[] {
    return this.#operations(
      "l.object = ? AND l.event >= ? AND l.event < ? ORDER BY l.event, l.rowid LIMIT ?",
      object,
      from,
      to,
      limit,
    ).map(counterRow);
  }

  #operations(which: string, ...values: Value[]): OperationRow[] {
    return this.#rows.all(`${OPERATION} WHERE ${which}`, ...values).map(operationRow);
  }
}

function operationRow(row: Row): OperationRow {
  return {
    event: number(row.event),
    time_ns: big(row.time_ns) ?? 0n,
    cpu: number(row.cpu),
    tid: number(row.tid),
    comm: text(row.comm),
    function: text(row.function),
    isSite: number(row.site) === 1,
    effect: text(row.effect),
    delta: number(row.delta),
    refs: numberOrNull(row.refs),
    outcome: text(row.outcome),
    result: numberOrNull(row.result),
    stack: numberOrNull(row.stack),
  };
}

function counterRow({ time_ns, delta, refs, outcome }: OperationRow): CounterRow {
  return { time_ns, delta: outcome === "refused" ? 0 : delta, refs };
}
