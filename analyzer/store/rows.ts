/** Many rows per INSERT: a statement per row costs three times as much. */
import type { Database, Statement } from "better-sqlite3";

export type Cell = bigint | number | string | null;

/** Beyond this a longer statement gains nothing more. */
const ROWS_PER_STATEMENT = 64;

/** Collects rows of one table and inserts them in blocks. `flush` before reading the table. */
export class RowWriter {
  readonly #block: Statement;
  readonly #single: Statement;
  readonly #width: number;
  readonly #cells: Cell[];
  /** Cells in use. */
  #used = 0;

  constructor(database: Database, table: string, columns: readonly string[]) {
    this.#width = columns.length;
    const row = `(${columns.map(() => "?").join(",")})`;
    const head = `INSERT INTO ${table} (${columns.join(",")}) VALUES `;
    this.#single = database.prepare(head + row);
    this.#block = database.prepare(head + Array(ROWS_PER_STATEMENT).fill(row).join(","));
    this.#cells = Array(this.#width * ROWS_PER_STATEMENT).fill(null);
  }

  add(...cells: Cell[]): void {
    for (let at = 0; at < cells.length; at++) this.#cells[this.#used++] = cells[at] as Cell;
    if (this.#used < this.#cells.length) return;
    this.#used = 0;
    this.#block.run(this.#cells);
  }

  flush(): void {
    const used = this.#used;
    this.#used = 0;
    for (let at = 0; at < used; at += this.#width) {
      this.#single.run(this.#cells.slice(at, at + this.#width));
    }
  }
}
