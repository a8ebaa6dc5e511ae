import { closeSync, openSync, readSync } from "node:fs";
import type { Database } from "better-sqlite3";
import { analyze } from "../index.js";
import { openAuditDatabase } from "../store/database.js";
import { Progress } from "./output.js";

const SQLITE_MAGIC = "SQLite format 3\0";

/**
 * Asks an audit: one that was kept (`analyze --db`), or one made of traces of one host for this question alone.
 * @throws UnusableDatabase, UnreadableInput
 */
export async function withAudit<T>(paths: readonly string[], ask: (database: Database) => Promise<T>): Promise<T> {
  const [path = "", ...more] = paths;
  if (more.length === 0 && isDatabase(path)) {
    const database = openAuditDatabase(path);
    try {
      return await ask(database);
    } finally {
      database.close();
    }
  }
  const progress = new Progress(true);
  const analysis = await analyze(paths, { keepEvents: true, progress: (events) => progress.update(events) }).finally(
    () => progress.clear(),
  );
  try {
    return await ask(analysis.database);
  } finally {
    analysis.close();
  }
}

function isDatabase(path: string): boolean {
  try {
    const fd = openSync(path, "r");
    try {
      const head = Buffer.alloc(SQLITE_MAGIC.length);
      return head.toString("latin1", 0, readSync(fd, head)) === SQLITE_MAGIC;
    } finally {
      closeSync(fd);
    }
  } catch {
    // Reading it as a trace says what is wrong.
    return false;
  }
}
