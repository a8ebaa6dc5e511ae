import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import BetterSqlite, { type Database } from "better-sqlite3";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { BulkLoad } from "./bulk-load.js";
import { type Cell, RowBatch } from "./row-batch.js";

const folder = mkdtempSync(join(tmpdir(), "ktally-bulk-"));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;

const SCHEMA = `
CREATE TABLE numbered (id INTEGER PRIMARY KEY, a ANY, b ANY, c TEXT) STRICT;
CREATE TABLE plain (a ANY, b ANY) STRICT;
CREATE TABLE untouched (a INTEGER) STRICT;`;
const COLUMNS: Record<string, string[]> = { numbered: ["id", "a", "b", "c"], plain: ["a", "b"], untouched: ["b"] };
const ROWS_PER_BATCH = 64;

/** Loads the rows of both tables in turns and opens the database. */
function loaded(tables: Record<string, Cell[][]>, pageSize: number): Database {
  const path = join(folder, `${files++}.db`);
  const empty = new BetterSqlite(path);
  empty.pragma(`page_size = ${pageSize}`);
  empty.exec(SCHEMA);
  empty.close();
  const load = new BulkLoad(path);
  const most = Math.max(...Object.values(tables).map((rows) => rows.length));
  for (let from = 0; from < most; from += ROWS_PER_BATCH) {
    for (const [table, rows] of Object.entries(tables)) {
      const batch = new RowBatch(table, COLUMNS[table]!, ROWS_PER_BATCH);
      for (const cells of rows.slice(from, from + ROWS_PER_BATCH)) batch.add(cells);
      if (batch.rows > 0) load.take(batch.pack());
    }
  }
  load.close();
  return new BetterSqlite(path).defaultSafeIntegers();
}

/** What SQLite gives back: integers of all sizes as bigints. */
function asRead(cell: Cell): unknown {
  return Number.isInteger(cell) ? BigInt(cell as number) : typeof cell === "bigint" ? BigInt.asIntN(64, cell) : cell;
}

function readBack(database: Database, table: string): unknown[][] {
  return database.prepare(`SELECT * FROM ${table} ORDER BY rowid`).raw().all() as unknown[][];
}

const cell = fc.oneof(
  fc.constant(null),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
  fc.integer({ min: -0x1_0000, max: 0x1_0000 }),
  fc.maxSafeInteger(),
  fc.string({ unit: "binary", maxLength: 90 }),
  // Longer than a page has room for.
  fc.string({ minLength: 400, maxLength: 3000 }),
);
const text = fc.option(fc.string({ unit: "grapheme", maxLength: 20 }));

describe("rows that are made into pages", () => {
  it("are read back by SQLite as they were, whatever they hold", () => {
    const numbered = fc.array(fc.tuple(fc.integer({ min: 1, max: 9000 }), cell, cell, text), { maxLength: 200 });
    const plain = fc.array(fc.tuple(cell, cell), { maxLength: 200 });
    fc.assert(
      fc.property(numbered, plain, fc.constantFrom(512, 8192, 32_768), (gaps, rows, pageSize) => {
        let id = 0;
        const ascending = gaps.map(([gap, ...rest]): Cell[] => {
          id += gap;
          return [id, ...rest];
        });
        const database = loaded({ numbered: ascending, plain: rows }, pageSize);
        try {
          expect(database.pragma("integrity_check", { simple: true })).toBe("ok");
          expect(readBack(database, "numbered")).toEqual(ascending.map((row) => row.map(asRead)));
          expect(readBack(database, "plain")).toEqual(rows.map((row) => row.map(asRead)));
        } finally {
          database.close();
        }
      }),
      { numRuns: 60 },
    );
  });

  it("are as many as it takes for a tree of three levels, and the database takes more", () => {
    const rows = Array.from({ length: 60_000 }, (_, index): Cell[] => [index, `row ${index}`]);
    const database = loaded({ plain: rows }, 512);
    expect(database.pragma("integrity_check", { simple: true })).toBe("ok");
    expect(database.prepare("SELECT b FROM plain WHERE rowid = 54321").pluck().get()).toBe("row 54320");
    database.exec(
      "INSERT INTO plain SELECT * FROM plain; INSERT INTO untouched VALUES (1); CREATE INDEX i ON plain(b)",
    );
    expect(database.prepare("SELECT count(*) FROM plain WHERE b = 'row 7'").pluck().get()).toBe(2n);
    expect(database.pragma("integrity_check", { simple: true })).toBe("ok");
    database.close();
  });

  it("must be whole", () => {
    expect(() => loaded({ untouched: [[1]] }, 512)).toThrow();
  });
});
