/** Findings without their stories, and the events that they rest on. */
import { type FindingHead, findingHead } from "../audit-view.js";
import { big, number, numberOrNull, text } from "../cells.js";
import type { ObjectHead } from "./objects.js";
import type { Statements } from "./statements.js";

/** A finding in a list. */
export interface ListedFinding extends FindingHead {
  /** Of its first event; null when it has none. */
  time_ns: bigint | null;
}

/** What a finding says of one event. */
export interface NoteRow {
  event: number;
  time_ns: bigint;
  note: string;
  finding: number;
  rule: string;
  isCulprit: boolean;
}

/** In the order of the report. */
export class FindingPages {
  readonly #rows: Statements;

  constructor(rows: Statements) {
    this.#rows = rows;
  }

  heads(): ListedFinding[] {
    return this.#rows
      .all(
        `SELECT f.*, e.time_ns FROM findings f
         LEFT JOIN evidence v ON v.finding = f.id AND v.seq = 0 LEFT JOIN events e ON e.id = v.event ORDER BY f.id`,
      )
      .map((row) => ({ ...findingHead(row), time_ns: big(row.time_ns) }));
  }

  /** The event that a finding blames, or else its last one. */
  eventOf(finding: number): number | null {
    const row = this.#rows.get(
      `SELECT coalesce(f.culprit_event, (SELECT event FROM evidence WHERE finding = f.id ORDER BY seq DESC LIMIT 1)) AS event
       FROM findings f WHERE f.id = ?`,
      finding,
    );
    return numberOrNull(row?.event);
  }

  /** Events that findings about an object rest on, with what they say of them. */
  notesOn(object: ObjectHead): NoteRow[] {
    return this.#rows
      .all(
        `SELECT v.event, v.note, e.time_ns, f.id AS finding, f.culprit_event, f.rule FROM findings f
       JOIN evidence v ON v.finding = f.id JOIN events e ON e.id = v.event
       WHERE f.class = ? AND f.generation = ? AND (f.address IS ? OR (f.address IS NULL AND f.label = ?))
       ORDER BY v.event`,
        object.class,
        object.generation,
        object.address === null ? null : BigInt.asIntN(64, object.address),
        object.label,
      )
      .map((row) => ({
        event: number(row.event),
        time_ns: big(row.time_ns) ?? 0n,
        note: text(row.note),
        finding: number(row.finding),
        rule: text(row.rule),
        isCulprit: row.event === row.culprit_event,
      }));
  }
}
