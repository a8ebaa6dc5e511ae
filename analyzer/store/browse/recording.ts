/** What a recording spans, on which CPUs, how densely, and what is missing of it. */
import { big, number, numberOrNull, text } from "../cells.js";
import type { Statements } from "./statements.js";

export interface LossRow {
  code: string;
  /** null: any. */
  cpu: number | null;
  from_ns: bigint | null;
  to_ns: bigint | null;
  /** null: nobody counted. */
  lost: number | null;
}

export interface CpuRow {
  cpu: number;
  first_ns: bigint;
  last_ns: bigint;
}

/** From the first record to the last. */
export class RecordingFacts {
  readonly #rows: Statements;

  constructor(rows: Statements) {
    this.#rows = rows;
  }

  /** From the first record of the audit to the last. */
  span(): { from: bigint; to: bigint } {
    const row = this.#rows.get("SELECT min(first_ns) AS first, max(last_ns) AS last FROM sources");
    const from = big(row?.first) ?? 0n;
    const to = big(row?.last) ?? from;
    return { from, to: to > from ? to : from + 1n };
  }

  /** First and last record of each CPU. */
  cpus(): CpuRow[] {
    return this.#rows
      .all("SELECT cpu, min(first_ns) AS first, max(last_ns) AS last FROM cpus GROUP BY cpu ORDER BY cpu")
      .map((row) => ({ cpu: number(row.cpu), first_ns: big(row.first) ?? 0n, last_ns: big(row.last) ?? 0n }));
  }

  /** Losses that overlap a span, in order of their begin. */
  losses(from: bigint, to: bigint, limit: number): LossRow[] {
    return this.#rows
      .all(
        `SELECT code, cpu, from_ns, to_ns, lost FROM gaps WHERE coalesce(from_ns, ?) <= ? AND coalesce(to_ns, ?) >= ?
       ORDER BY from_ns LIMIT ?`,
        from,
        to,
        to,
        from,
        limit,
      )
      .map((row) => ({
        code: text(row.code),
        cpu: numberOrNull(row.cpu),
        from_ns: big(row.from_ns),
        to_ns: big(row.to_ns),
        lost: numberOrNull(row.lost),
      }));
  }

  /** Events that the sources say are missing. */
  lost(): { places: number; known: number } {
    const row = this.#rows.get("SELECT sum(lost_places) AS places, sum(lost_known) AS known FROM sources");
    return { places: number(row?.places), known: number(row?.known) };
  }

  /** The first event at or after a time; one more than the last when there is none. Events are in order of time. */
  eventAt(time: bigint): number {
    let low = 1;
    let high = number(this.#rows.get("SELECT max(id) AS n FROM events")?.n) + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const row = this.#rows.get("SELECT id, time_ns FROM events WHERE id >= ? ORDER BY id LIMIT 1", middle);
      if (row && (big(row.time_ns) ?? 0n) < time) low = number(row.id) + 1;
      else high = middle;
    }
    return low;
  }

  /** How many events there are in equal parts of a span, and in its last second. */
  rates(
    { from, to }: { from: bigint; to: bigint },
    parts: number,
  ): { counts: number[]; perSecond: number; total: number } {
    const edges = Array.from({ length: parts }, (_, part) =>
      this.eventAt(from + ((to - from) * BigInt(part)) / BigInt(parts)),
    );
    const end = this.eventAt(to + 1n);
    const counts = edges.map((edge, part) => (edges[part + 1] ?? end) - edge);
    return { counts, perSecond: end - this.eventAt(to - 1_000_000_000n), total: end - 1 };
  }
}
