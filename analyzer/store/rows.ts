/** Inserts batches of rows, many per statement: a statement per row costs three times as much. */
import type { Database, Statement } from "better-sqlite3";
import { type Cell, CellReader, type PackedRows } from "./row-batch.js";

/** Beyond this a longer statement gains nothing more. */
const ROWS_PER_STATEMENT = 64;

export class RowInserter {
  readonly #statements = new Map<string, Statement>();

  constructor(
    private readonly database: Database,
    private readonly replaces = false,
  ) {}

  /** One transaction. */
  insert(batch: PackedRows): void {
    const cells = new CellReader(batch);
    this.database.exec("BEGIN");
    for (let left = batch.rows; left > 0; ) {
      const rows = left >= ROWS_PER_STATEMENT ? ROWS_PER_STATEMENT : 1;
      const block: Cell[] = new Array(rows * batch.columns.length);
      for (let at = 0; at < block.length; at++) block[at] = cells.next();
      this.#statement(batch, rows).run(block);
      left -= rows;
    }
    this.database.exec("COMMIT");
  }

  #statement({ table, columns }: PackedRows, rows: number): Statement {
    const key = `${table} ${rows}`;
    let statement = this.#statements.get(key);
    if (!statement) {
      const row = `(${columns.map(() => "?").join(",")})`;
      const values = Array(rows).fill(row).join(",");
      statement = this.database.prepare(
        `${this.replaces ? "REPLACE" : "INSERT"} INTO ${table} (${columns.join(",")}) VALUES ${values}`,
      );
      this.#statements.set(key, statement);
    }
    return statement;
  }
}
