/** Plain SQL for users. */
import type { Database } from "better-sqlite3";
import { UnusableDatabase } from "./database.js";

export interface QueryResult {
  columns: string[];
  /** Rows as they come; integers are bigint, so that times and addresses stay exact. */
  rows: Iterable<unknown[]>;
}

/**
 * Runs one reading statement.
 * @throws UnusableDatabase when the SQL is wrong, or would write.
 */
export function runQuery(database: Database, sql: string): QueryResult {
  try {
    const statement = database.prepare(sql);
    if (!statement.reader || !statement.readonly) throw new UnusableDatabase("only statements that read are allowed");
    const columns = statement.columns().map((column) => column.name);
    return { columns, rows: rowsOf(statement.safeIntegers().raw().iterate() as Iterable<unknown[]>) };
  } catch (error) {
    throw asUnusable(error);
  }
}

/** Some mistakes show only while rows are made (an overflow, malformed JSON). */
function* rowsOf(rows: Iterable<unknown[]>): Generator<unknown[]> {
  try {
    yield* rows;
  } catch (error) {
    throw asUnusable(error);
  }
}

function asUnusable(error: unknown): UnusableDatabase {
  if (error instanceof UnusableDatabase) return error;
  return new UnusableDatabase(`the SQL cannot be run: ${error instanceof Error ? error.message : String(error)}`);
}
