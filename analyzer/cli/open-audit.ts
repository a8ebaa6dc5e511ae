import type { Database } from "better-sqlite3";
import { analyze } from "../index.js";
import { isDatabase, openAuditDatabase } from "../store/database.js";
import { Progress } from "./output.js";

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
