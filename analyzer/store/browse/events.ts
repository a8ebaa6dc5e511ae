/** Recorded events, by task or probe. */
import { big, number, numberOrNull, type Row, text, textOrNull } from "../cells.js";
import type { Statements } from "./statements.js";

/** Whose events: a task's or a probe's. */
export type EventsOf = { tid: number } | { probe: number };

export interface EventRow {
  id: number;
  time_ns: bigint;
  cpu: number;
  tid: number;
  comm: string;
  /** Of the event. */
  name: string;
  /** Function and offset that it probes. */
  place: string | null;
  values: { name: string; value: string }[];
  stack: number | null;
}

const MOST_THREADS = 20_000;

/** In the order in which they were recorded. */
export class EventPages {
  readonly #rows: Statements;

  constructor(rows: Statements) {
    this.#rows = rows;
  }

  count(of: EventsOf): number {
    return "tid" in of
      ? number(this.#rows.get("SELECT count(*) AS n FROM events WHERE tid = ?", of.tid)?.n)
      : number(this.#rows.get("SELECT count(*) AS n FROM events WHERE probe = ?", of.probe)?.n);
  }

  /** Recorded events of a task or of a probe, in order. */
  page(of: EventsOf, offset: number, limit: number): EventRow[] {
    const page =
      "tid" in of
        ? "SELECT id FROM events WHERE tid = ? ORDER BY id LIMIT ? OFFSET ?"
        : "SELECT id FROM events WHERE probe = ? ORDER BY time_ns LIMIT ? OFFSET ?";
    return this.#rows
      .all(
        `SELECT e.*, t.comm, p.name, p.symbol, p.offset, p.fields FROM events e JOIN tasks t ON t.id = e.task
       JOIN probes p ON p.id = e.probe WHERE e.id IN (${page}) ORDER BY e.id`,
        "tid" in of ? of.tid : of.probe,
        limit,
        offset,
      )
      .map((row) => ({
        id: number(row.id),
        time_ns: big(row.time_ns) ?? 0n,
        cpu: number(row.cpu),
        tid: number(row.tid),
        comm: text(row.comm),
        name: text(row.name),
        place: placeOf(row),
        values: valuesOf(row),
        stack: numberOrNull(row.stack),
      }));
  }

  /** Every task that was seen, by pid. The first ones, where there are very many. */
  threads(): { tid: number; comm: string }[] {
    return this.#rows
      .all(
        `WITH RECURSIVE seen(tid) AS (
         SELECT min(tid) FROM events UNION ALL
         SELECT (SELECT min(tid) FROM events WHERE tid > seen.tid) FROM seen WHERE seen.tid IS NOT NULL)
       SELECT seen.tid, (SELECT t.comm FROM events e JOIN tasks t ON t.id = e.task WHERE e.tid = seen.tid LIMIT 1) AS comm
       FROM seen WHERE seen.tid IS NOT NULL LIMIT ${MOST_THREADS}`,
      )
      .map((row) => ({ tid: number(row.tid), comm: text(row.comm) }));
  }
}

/** Function and offset that a probe stands at. */
export function placeOf(row: Row): string | null {
  const symbol = textOrNull(row.symbol);
  const offset = numberOrNull(row.offset);
  if (symbol === null) return null;
  return offset === null || offset === 0 ? symbol : `${symbol}+0x${offset.toString(16)}`;
}

/** Recorded values with their names; large numbers as the kernel prints addresses. */
function valuesOf(row: Row): { name: string; value: string }[] {
  const names = JSON.parse(text(row.fields)) as string[];
  const more = row.more === null ? [] : (JSON.parse(text(row.more)) as unknown[]);
  const cells = [row.a0, row.a1, row.a2, row.a3, ...more];
  return names.map((name, index) => ({ name, value: shownValue(cells[index]) }));
}

function shownValue(value: unknown): string {
  if (value === null || value === undefined) return "(fault)";
  if (typeof value !== "bigint") return String(value);
  return value > 0xffffffffn || value < -0x10000n ? `0x${BigInt.asUintN(64, value).toString(16)}` : String(value);
}
