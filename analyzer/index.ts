/** The library: `import { analyze } from "ktally"`. */
import type { Database } from "better-sqlite3";
import { defaultCatalog } from "../collectors/catalog/default.js";
import { type AuditOptions, auditReaders, openTraces, symbolsOf } from "./audit.js";
import { callChain } from "./decode/call-chain.js";
import { exitCode } from "./exit-code.js";
import { describeCall } from "./rules/describe.js";
import type { Finding } from "./rules/finding.js";
import { AuditView } from "./store/audit-view.js";
import { createAuditDatabase } from "./store/database.js";
import { StoreRecorder } from "./store/recorder.js";
import { type Known, suppressedBy } from "./triage/known.js";
import { version } from "./version.js";

export interface AnalyzeOptions extends Partial<AuditOptions> {
  /** Where to keep the audit; without it, it lives as long as the result. */
  db?: string | null;
  allowPartial?: boolean;
  /** Findings that do not count: suppressions (whose uses are counted) and fingerprints of an earlier audit. */
  known?: Known;
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
    const recorder = new StoreRecorder(database, version(), options.keepEvents ?? options.db != null);
    try {
      const outcome = await auditReaders(readers, audit, recorder);
      // Names of addresses are looked up in the sources to the end.
      const context = { symbols: symbolsOf(outcome.sources) };
      const functions = ({ culprit }: Finding) => [
        culprit.function,
        ...(culprit.site === null ? [] : [culprit.site]),
        ...(culprit.event === null ? [] : callChain(context.symbols(culprit.event.source), culprit.event)),
      ];
      const suppressed = options.known ? suppressedBy(outcome.findings, options.known, functions) : new Map();
      const exit = exitCode(outcome, options.allowPartial ?? false, suppressed);
      recorder.finish(outcome, exit, {
        call: (operation) => describeCall(context, operation),
        functions,
        suppressedBy: (finding) => suppressed.get(finding) ?? null,
      });
      return { exit, view: new AuditView(database), database, close: () => database.close() };
    } catch (error) {
      recorder.abandon();
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
export { type EarlierFinding, readEarlier } from "./triage/earlier.js";
export { parseSuppressions } from "./triage/suppressions.js";
