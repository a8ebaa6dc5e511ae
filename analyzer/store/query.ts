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
    return { columns, rows: statement.safeIntegers().raw().iterate() as Iterable<unknown[]> };
  } catch (error) {
    if (error instanceof UnusableDatabase) throw error;
    throw new UnusableDatabase(`the SQL cannot be run: ${error instanceof Error ? error.message : String(error)}`);
  }
}
