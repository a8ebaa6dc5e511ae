/** The library: `import { analyze } from "ktally"`. */
import type { Database } from "better-sqlite3";
import { defaultCatalog } from "../collectors/catalog/default.js";
import { type AuditOptions, auditReaders, openTraces, symbolsOf } from "./audit.js";
import { exitCode } from "./exit-code.js";
import { describeCall } from "./rules/describe.js";
import { AuditView } from "./store/audit-view.js";
import { createAuditDatabase } from "./store/database.js";
import { StoreRecorder } from "./store/recorder.js";
import { version } from "./version.js";

export interface AnalyzeOptions extends Partial<AuditOptions> {
  /** Where to keep the audit; without it, it lives as long as the result. */
  db?: string | null;
  allowPartial?: boolean;
  /** Whether every relevant event goes into the database, or only those that findings rest on. Default: with `db`. */
  keepEvents?: boolean;
}

export interface Analysis {
  /** What `ktally analyze` exits with: 0, 1 or 125. */
  exit: number;
  view: AuditView;
  database: Database;
  /** Ends the analysis; a temporary database goes with it. */
  close(): void;
}

/**
 * Reads traces of one machine, follows the objects in them and judges.
 * @throws UnreadableInput when an input cannot be read at all, UnusableDatabase when `db` cannot be used.
 */
export async function analyze(paths: readonly string[], options: AnalyzeOptions = {}): Promise<Analysis> {
  const audit: AuditOptions = { classes: null, ...options, catalog: options.catalog ?? defaultCatalog() };
  // First the traces: an audit that is there already is not given up for a name mistyped.
  const readers = await openTraces(paths);
  try {
    const database = createAuditDatabase(options.db ?? null);
    try {
      const recorder = new StoreRecorder(database, version(), options.keepEvents ?? options.db != null);
      const outcome = await auditReaders(readers, audit, recorder);
      const exit = exitCode(outcome, options.allowPartial ?? false);
      // Names of addresses are looked up in the sources to the end.
      recorder.finish(outcome, exit, {
        call: (operation) => describeCall({ symbols: symbolsOf(outcome.sources) }, operation),
      });
      return { exit, view: new AuditView(database), database, close: () => database.close() };
    } catch (error) {
      database.close();
      throw error;
    }
  } finally {
    for (const reader of readers) reader.close();
  }
}

export { loadCatalog } from "../collectors/catalog/catalog.js";
export { UnreadableInput } from "./import/trace-event.js";
export { AuditView } from "./store/audit-view.js";
export { openAuditDatabase, UnusableDatabase } from "./store/database.js";
