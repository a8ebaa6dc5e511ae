/** An audit that somebody watches: events are judged as they come, and the database always tells what is known. */
import type { Catalog } from "../collectors/catalog/catalog.js";
import { auditReaders, symbolsOf } from "./audit.js";
import { callChain } from "./decode/call-chain.js";
import { exitCode } from "./exit-code.js";
import type { TraceReader } from "./import/trace-event.js";
import { describeCall } from "./rules/describe.js";
import type { Finding } from "./rules/finding.js";
import { completeLiveDatabase, createLiveDatabase } from "./store/database.js";
import { StoreRecorder } from "./store/recorder.js";
import { version } from "./version.js";

export interface LiveOptions {
  catalog: Catalog;
  classes: readonly string[] | null;
  /** Where the audit is kept; others may open it for reading (`new AuditBrowser`) while it is written. */
  db: string;
  /** Ends the audit at what has come so far. */
  signal: AbortSignal;
  /** Between one snapshot and the next; milliseconds. */
  every?: number;
}

const SNAPSHOT_EVERY = 500;
/** A snapshot takes at most this part of the time: the larger the audit, the rarer. */
const SHARE = 0.1;

/**
 * Audits what a reader hands over, until it ends. A snapshot is written every half second.
 * @returns what `analyze` would exit with.
 * @throws UnusableDatabase
 */
export async function watchAudit(open: () => Promise<TraceReader>, options: LiveOptions): Promise<number> {
  const database = createLiveDatabase(options.db);
  const recorder = new StoreRecorder(database, version(), true, true);
  let reader: TraceReader | null = null;
  try {
    reader = await open();
    const context = { symbols: symbolsOf([reader.facts]) };
    const texts = {
      call: (operation: Parameters<typeof describeCall>[1]) => describeCall(context, operation),
      functions: ({ culprit }: Finding) => [
        culprit.function,
        ...(culprit.site === null ? [] : [culprit.site]),
        ...(culprit.event === null ? [] : callChain(context.symbols(culprit.event.source), culprit.event)),
      ],
      suppressedBy: () => null,
    };
    let due = 0;
    const outcome = await auditReaders(
      [until(reader, options.signal)],
      {
        catalog: options.catalog,
        classes: options.classes,
        follow: async (soFar) => {
          const begin = Date.now();
          if (begin >= due) {
            const now = soFar();
            recorder.snapshot(now, exitCode(now, false, new Map()), texts);
            due = Date.now() + (options.every ?? Math.max(SNAPSHOT_EVERY, (Date.now() - begin) / SHARE));
          }
          // Keys are read and screens drawn in between.
          await new Promise((resolve) => setImmediate(resolve));
        },
      },
      recorder,
    );
    const exit = exitCode(outcome, false, new Map());
    recorder.snapshot(outcome, exit, texts);
    completeLiveDatabase(database);
    return exit;
  } finally {
    reader?.close();
    database.close();
  }
}

/** The reader's items until somebody says that it is enough. */
function until(reader: TraceReader, signal: AbortSignal): TraceReader {
  return {
    facts: reader.facts,
    async *read(wants) {
      for await (const batch of reader.read(wants)) {
        if (signal.aborted) return;
        yield batch;
      }
    },
    close: () => reader.close(),
  };
}
