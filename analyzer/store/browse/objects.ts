/** Objects: one by one, by class, and those alive at a moment. */

import type { FindingHead } from "../audit-view.js";
import { type ObjectView, objectOf } from "../audit-view.js";
import { big, number, numberOrNull, type Row, text } from "../cells.js";
import type { OperationPages } from "./operations.js";
import type { RecordingFacts } from "./recording.js";
import type { Statements } from "./statements.js";

export interface ObjectHead extends ObjectView {
  /** Every value read fits the operations seen. */
  exact: boolean;
}

export interface ClassCount {
  class: string;
  count: number;
}

export interface LifeRow extends ObjectHead {
  /** Its creation, or the first operation that was seen. */
  from_ns: bigint;
  /** Its destruction, or the last operation that was seen. */
  to_ns: bigint;
}

/** An object that is alive at a moment. */
export interface LiveObject {
  id: number;
  label: string;
  since_ns: bigint;
  /** null: not known. */
  refs: number | null;
  /** What happened to it last. */
  last: string | null;
}

/**
 * At a moment (its time twice, and the first event behind it). One that was replaced is gone, too, only nobody saw when;
 * so is one that nothing visible destroys, once it has no reference left.
 */
const ALIVE = `coalesce(o.created_ns, 0) <= ? AND (o.destroyed_ns IS NULL OR o.destroyed_ns > ?) AND o.state <> 'replaced'
       AND (o.refs_last IS NULL OR o.refs_last <> 0
            OR EXISTS (SELECT 1 FROM ledger l WHERE l.object = o.id AND l.event >= ?))`;

/** In the order in which they were met first. */
export class ObjectPages {
  readonly #rows: Statements;
  readonly #operations: OperationPages;
  readonly #recording: RecordingFacts;

  constructor(rows: Statements, operations: OperationPages, recording: RecordingFacts) {
    this.#rows = rows;
    this.#operations = operations;
    this.#recording = recording;
  }

  /** One object; null when there is none of this number. */
  get(id: number): ObjectHead | null {
    const row = this.#rows.get("SELECT * FROM objects WHERE id = ?", id);
    return row ? objectHead(row) : null;
  }

  /** The object that a finding is about; null for an entry of a table, which has no life of its own. */
  ofFinding({ class: name, address, label, generation }: FindingHead): ObjectHead | null {
    const row =
      address === null
        ? this.#rows.get(
            "SELECT * FROM objects WHERE class = ? AND address IS NULL AND label = ? AND generation = ?",
            name,
            label,
            generation,
          )
        : this.#rows.get(
            "SELECT * FROM objects WHERE class = ? AND address = ? AND generation = ?",
            name,
            BigInt.asIntN(64, address),
            generation,
          );
    return row ? objectHead(row) : null;
  }

  /** The object that an event is about; null when it was followed on none. */
  ofEvent(event: number): ObjectHead | null {
    const row = this.#rows.get(
      "SELECT o.* FROM ledger l JOIN objects o ON o.id = l.object WHERE l.event = ? LIMIT 1",
      event,
    );
    return row ? objectHead(row) : null;
  }

  /** Classes of which objects were seen, and how many. */
  counts(): ClassCount[] {
    return this.#rows.all("SELECT class, count(*) AS n FROM objects GROUP BY class ORDER BY class").map((row) => ({
      class: text(row.class),
      count: number(row.n),
    }));
  }

  /** Objects of a class in the order in which they were met first, with the times between which they were seen. */
  lives(name: string, offset: number, limit: number, count: number): LifeRow[] {
    // From the nearer end: skipping rows costs, too.
    const isFar = offset > count / 2;
    const last = Math.max(0, count - offset - limit);
    const taken = Math.min(limit, count - offset);
    const rows = this.#rows.all(
      `SELECT * FROM objects WHERE id IN
         (SELECT id FROM objects WHERE class = ? ORDER BY id ${isFar ? "DESC" : "ASC"} LIMIT ? OFFSET ?) ORDER BY id`,
      name,
      Math.max(0, taken),
      isFar ? last : offset,
    );
    return rows.map((row) => {
      const head = objectHead(row);
      const span = head.created_ns !== null && head.destroyed_ns !== null ? null : this.#operations.span(head.id);
      const from_ns = head.created_ns ?? span?.first ?? 0n;
      const to_ns = head.destroyed_ns ?? span?.last ?? from_ns;
      return { ...head, from_ns, to_ns };
    });
  }

  /** When the references were taken that still hold an object. */
  heldSince(object: number): bigint[] {
    return this.#rows
      .all(
        "SELECT since_ns FROM holders WHERE object = ? AND kind IN ('file', 'reference') AND since_ns IS NOT NULL",
        object,
      )
      .map((row) => big(row.since_ns) ?? 0n);
  }

  /** Objects that are alive at a moment, as far as seen, those last made first. */
  aliveAt(at: bigint, most: number): LiveObject[] {
    const before = this.#recording.eventAt(at + 1n);
    return this.#rows
      .all(
        `SELECT o.id, o.label, coalesce(o.created_ns, (SELECT e.time_ns FROM ledger l JOIN events e ON e.id = l.event
                                                      WHERE l.object = o.id ORDER BY l.event LIMIT 1)) AS since_ns,
              (SELECT max(l.rowid) FROM ledger l WHERE l.object = o.id AND l.event < ?
                 AND l.event = (SELECT max(event) FROM ledger WHERE object = o.id AND event < ?)) AS last
       FROM objects o WHERE ${ALIVE} ORDER BY o.id DESC LIMIT ?`,
        before,
        before,
        at,
        at,
        before,
        most,
      )
      .filter((row) => row.last !== null)
      .map((row) => {
        const last = this.#rows.get(
          `SELECT k.function, k.effect, k.delta, l.refs, l.outcome FROM ledger l JOIN operations k ON k.id = l.operation
           WHERE l.rowid = ?`,
          number(row.last),
        );
        const refs = numberOrNull(last?.refs);
        const delta = last?.outcome === "refused" ? 0 : number(last?.delta);
        return {
          id: number(row.id),
          label: text(row.label),
          since_ns: big(row.since_ns) ?? at,
          refs: refs === null ? null : refs + delta,
          last: last ? `${text(last.effect)} ${text(last.function)}` : null,
        };
      });
  }

  /** Objects alive at a moment and their references, by class. */
  aliveCounts(at: bigint): { class: string; count: number; references: number }[] {
    return this.#rows
      .all(
        `SELECT class, count(*) AS n, sum(CASE WHEN refs_last > 0 THEN refs_last ELSE 0 END) AS refs FROM objects o
       WHERE ${ALIVE} GROUP BY class ORDER BY class`,
        at,
        at,
        this.#recording.eventAt(at + 1n),
      )
      .map((row) => ({ class: text(row.class), count: number(row.n), references: number(row.refs) }));
  }
}

export function objectHead(row: Row): ObjectHead {
  return { ...objectOf(row), exact: number(row.exact) === 1 };
}
