/** Many rows per INSERT: a statement per row costs three times as much. */
import type { Database, Statement } from "better-sqlite3";

export type Cell = bigint | number | string | null;

const ROWS_PER_STATEMENT = 24;

/** Collects rows of one table and inserts them in blocks. `flush` before reading the table. */
export class RowWriter {
  readonly #block: Statement;
  readonly #single: Statement;
  readonly #width: number;
  #cells: Cell[] = [];

  constructor(database: Database, table: string, columns: readonly string[]) {
    this.#width = columns.length;
    const row = `(${columns.map(() => "?").join(",")})`;
    const head = `INSERT INTO ${table} (${columns.join(",")}) VALUES `;
    this.#single = database.prepare(head + row);
    this.#block = database.prepare(head + Array(ROWS_PER_STATEMENT).fill(row).join(","));
  }

  add(...cells: Cell[]): void {
    for (const cell of cells) this.#cells.push(cell);
    if (this.#cells.length >= this.#width * ROWS_PER_STATEMENT) {
      this.#block.run(this.#cells);
      this.#cells = [];
    }
  }

  flush(): void {
    for (let at = 0; at < this.#cells.length; at += this.#width) {
      this.#single.run(this.#cells.slice(at, at + this.#width));
    }
    this.#cells = [];
  }
}
