/** What has an address, a pid, a task's name or a function. */
import { number, text } from "../cells.js";
import { type EventPages, placeOf } from "./events.js";
import { type ObjectPages, objectHead } from "./objects.js";
import type { Statements } from "./statements.js";

/** Something that was looked for. */
export type Hit = { text: string; more: string } & (
  | { kind: "object"; id: number }
  | { kind: "task"; tid: number }
  | { kind: "probe"; probe: number }
);

/** Objects that are looked through for a part of an address. */
const LOOKED_THROUGH = 100_000;

/** Finds things by what users know of them. */
export class Search {
  readonly #rows: Statements;
  readonly #objects: ObjectPages;
  readonly #events: EventPages;

  constructor(rows: Statements, objects: ObjectPages, events: EventPages) {
    this.#rows = rows;
    this.#objects = objects;
    this.#events = events;
  }

  /** What has this address, pid, task name or function: at most `most` of each kind. */
  find(words: string, most: number): Hit[] {
    const wanted = words.trim();
    if (wanted === "") return [];
    return [...this.#objectsAt(wanted, most), ...this.#tasksLike(wanted, most), ...this.#probesLike(wanted, most)];
  }

  #objectsAt(wanted: string, most: number): Hit[] {
    const digits = /^(?:0x)?([0-9a-f]{3,16})$/i.exec(wanted)?.[1];
    const names = this.#rows.all(
      "SELECT * FROM objects WHERE class = 'module' AND name LIKE ? ESCAPE '\\' LIMIT ?",
      like(wanted),
      most,
    );
    const rows = names;
    if (digits !== undefined) {
      const value = BigInt.asIntN(64, BigInt(`0x${digits}`));
      for (const { class: name } of this.#objects.counts()) {
        rows.push(
          ...this.#rows.all("SELECT * FROM objects WHERE class = ? AND address = ? LIMIT ?", name, value, most),
        );
      }
      // A part of an address has no index: the newest objects are looked through.
      if (digits.length < 16) {
        rows.push(
          ...this.#rows.all(
            `SELECT * FROM (SELECT * FROM objects ORDER BY id DESC LIMIT ${LOOKED_THROUGH})
             WHERE printf('%x', address) LIKE ? LIMIT ?`,
            `%${digits.toLowerCase()}`,
            most,
          ),
        );
      }
    }
    return rows.slice(0, most).map((row) => {
      const { id, label, generation, state, class: name } = objectHead(row);
      return { kind: "object", id, text: label, more: `${name}, life ${generation}, ${state}` };
    });
  }

  #tasksLike(wanted: string, most: number): Hit[] {
    const isPid = /^[0-9]+$/.test(wanted);
    return this.#events
      .threads()
      .filter(({ tid, comm }) => (isPid && tid === Number(wanted)) || comm.toLowerCase().includes(wanted.toLowerCase()))
      .slice(0, most)
      .map(({ tid, comm }) => ({ kind: "task", tid, text: `${comm === "" ? "?" : comm} ${tid}`, more: "its events" }));
  }

  #probesLike(wanted: string, most: number): Hit[] {
    return this.#rows
      .all(
        "SELECT id, kind, name, symbol, offset, module FROM probes WHERE symbol LIKE ? ESCAPE '\\' OR name LIKE ? ESCAPE '\\' ORDER BY symbol, id LIMIT ?",
        like(wanted),
        like(wanted),
        most,
      )
      .map((row) => ({
        kind: "probe",
        probe: number(row.id),
        text: placeOf(row) ?? text(row.name),
        more: `${text(row.kind)} ${text(row.name)}`,
      }));
  }
}

/** For LIKE ... ESCAPE. */
function like(words: string): string {
  return `%${words.replace(/[%_\\]/g, "\\$&")}%`;
}
