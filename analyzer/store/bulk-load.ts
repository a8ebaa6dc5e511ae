/** Fills empty tables of a database file with rows in their order, past SQLite, which only keeps others out meanwhile. */
import BetterSqlite, { type Database } from "better-sqlite3";
import { PageFile } from "./page-file.js";
import { RecordReader } from "./record.js";
import type { PackedRows } from "./row-batch.js";
import { TablePages } from "./table-pages.js";

interface Table {
  root: number;
  records: RecordReader;
  pages: TablePages;
  /** Rows without a number of their own are counted. */
  isNumbered: boolean;
  rows: number;
}

export class BulkLoad {
  /** Holds the lock. */
  readonly #database: Database;
  readonly #file: PageFile;
  readonly #tables = new Map<string, Table>();

  /** @throws SqliteError when another connection uses the database */
  constructor(path: string) {
    this.#database = new BetterSqlite(path);
    this.#database.exec("BEGIN EXCLUSIVE");
    this.#file = new PageFile(path);
  }

  take(batch: PackedRows): void {
    let table = this.#tables.get(batch.table);
    if (!table) {
      table = this.#open(batch);
      this.#tables.set(batch.table, table);
    }
    const { records, pages, isNumbered } = table;
    records.take(batch);
    for (let row = 0; row < batch.rows; row++) {
      const length = records.read(row);
      table.rows++;
      pages.add(isNumbered ? records.rowid : table.rows, records.bytes, length);
    }
  }

  close(): void {
    for (const { pages, root } of this.#tables.values()) pages.finish(root);
    this.#file.complete();
    this.#database.exec("COMMIT");
    this.#database.close();
    // The last: it ends all locks that the process has on the file.
    this.#file.close();
  }

  #open({ table, columns }: PackedRows): Table {
    const declared = this.#database.pragma(`table_info(${table})`) as { name: string; pk: number }[];
    if (declared.map(({ name }) => name).join() !== columns.join()) throw new Error(`${table}: not all its columns`);
    const rootOf = this.#database.prepare("SELECT rootpage FROM sqlite_schema WHERE name = ?").pluck();
    const key = declared.findIndex(({ pk }) => pk === 1);
    return {
      root: rootOf.get(table) as number,
      records: new RecordReader(columns.length, key),
      pages: new TablePages(this.#file),
      isNumbered: key >= 0,
      rows: 0,
    };
  }
}
