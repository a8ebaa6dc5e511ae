/** Opens and creates audit databases. */
import { closeSync, existsSync, openSync, readSync, rmSync, statSync } from "node:fs";
import BetterSqlite, { type Database } from "better-sqlite3";
import { APPLICATION_ID, INDEXES, LATE_OUTCOMES, SCHEMA, SCHEMA_VERSION, SETTLE_OUTCOMES, VIEWS } from "./schema.js";

const INTERRUPTED = "its import was interrupted; analyze the trace again with --db and this name";
const NOT_ALLOWED: ReadonlySet<string> = new Set(["SQLITE_CANTOPEN", "SQLITE_PERM", "EROFS", "EACCES", "EPERM"]);
const SQLITE_MAGIC = "SQLite format 3\0";

/** The database cannot be used: one sentence that says which, why and what to do. Exit 2. */
export class UnusableDatabase extends Error {
  override name = "UnusableDatabase";
}

/**
 * Creates the database of a new audit; an audit that is there already is replaced, anything else is left alone.
 * Without a path it lives in a temporary file that goes with it.
 * @throws UnusableDatabase
 */
export function createAuditDatabase(path: string | null): Database {
  // An empty name is SQLite's own temporary file (sqlite3_open: "private, temporary on-disk database").
  const file = path ?? "";
  if (path !== null && existsSync(path)) replaceable(path);
  const database = guard(file, () => new BetterSqlite(file));
  guard(file, () => {
    database.pragma("page_size = 8192");
    // Nobody else needs a temporary audit; the user's own must survive a crash as a file that opens.
    if (file === "") database.pragma("journal_mode = OFF");
    if (file === "") database.pragma("synchronous = OFF");
    // At once: whoever looks at it sees nothing or an audit that is not finished.
    database.exec(`BEGIN; PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${SCHEMA_VERSION};
      ${SCHEMA} INSERT INTO meta VALUES ('state', 'importing'); COMMIT; ${LATE_OUTCOMES}`);
  });
  return database;
}

/** Whether a file is a database, by its content; a trace is told by its own, too. */
export function isDatabase(path: string): boolean {
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

/**
 * Opens an audit for reading.
 * @throws UnusableDatabase when it is none, or was not finished (unless `isUnfinished` says that it may be so).
 */
export function openAuditDatabase(path: string, isUnfinished = false): Database {
  if (!existsSync(path))
    throw new UnusableDatabase(`${path}: there is no such file; make it with analyze --db ${path}`);
  const database = guard(path, () => new BetterSqlite(path, { readonly: true }));
  guard(path, () => {
    if (isEmpty(database)) throw new UnusableDatabase(`${path}: is empty; make it with analyze --db ${path}`);
    if (database.pragma("application_id", { simple: true }) !== APPLICATION_ID) {
      throw new UnusableDatabase(`${path}: is not a ktally database; make one with analyze --db`);
    }
    const version = database.pragma("user_version", { simple: true });
    if (version !== SCHEMA_VERSION) {
      throw new UnusableDatabase(
        `${path}: has schema ${String(version)}, this ktally reads ${SCHEMA_VERSION}; analyze the trace again`,
      );
    }
    const state = database.prepare("SELECT value FROM meta WHERE key = 'state'").pluck().get();
    if (state !== "complete" && !isUnfinished) {
      throw new UnusableDatabase(`${path}: ${INTERRUPTED}`);
    }
  });
  return database;
}

/** Adds views, and the indexes where the audit will be searched, and marks it as whole; within a transaction. */
export function completeAuditDatabase(database: Database, isSearched: boolean): void {
  if (isSearched) database.exec(INDEXES);
  settleOutcomes(database);
  database.exec(VIEWS);
  database.prepare("INSERT OR REPLACE INTO meta VALUES ('state', 'complete')").run();
}

/**
 * Creates the database of an audit that is read while it is written: with its indexes and views from the start.
 * @throws UnusableDatabase
 */
export function createLiveDatabase(path: string): Database {
  const database = createAuditDatabase(path);
  guard(path, () => {
    // Readers do not wait for the writer, nor it for them.
    database.pragma("journal_mode = WAL");
    database.pragma("synchronous = NORMAL");
    database.exec(INDEXES);
    database.exec(VIEWS);
  });
  return database;
}

/** Marks a live audit as whole. */
export function completeLiveDatabase(database: Database): void {
  database.prepare("INSERT OR REPLACE INTO meta VALUES ('state', 'complete')").run();
}

/** What became known of operations after their rows were written. */
export function settleOutcomes(database: Database): void {
  database.exec(SETTLE_OUTCOMES);
}

/** Removes an audit that is to be made anew; anything that is not one of ours is not touched. */
function replaceable(path: string): void {
  // Not only for reading: what an interrupted import has begun to change is undone.
  const database = guard(path, () => new BetterSqlite(path, { fileMustExist: true }));
  const ours = guard(path, () => {
    return isEmpty(database) || database.pragma("application_id", { simple: true }) === APPLICATION_ID;
  });
  database.close();
  if (!ours) throw new UnusableDatabase(`${path}: is another program's database; name a new file`);
  guard(path, () => {
    for (const suffix of ["", "-journal", "-wal", "-shm"]) rmSync(path + suffix, { force: true });
  });
}

function isEmpty(database: Database): boolean {
  return database.prepare("SELECT count(*) FROM sqlite_schema").pluck().get() === 0;
}

/** @throws UnusableDatabase in place of what SQLite and the file system throw */
export function guard<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof BetterSqlite.SqliteError || (error as NodeJS.ErrnoException).syscall !== undefined) {
      if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
        throw new UnusableDatabase(`${path}: is a directory; name a file in it`);
      }
      const { code = "", message } = error as NodeJS.ErrnoException;
      throw new UnusableDatabase(`${path === "" ? "temporary database" : path}: ${sentence(code, message)}`);
    }
    if (error instanceof TypeError && error.message.includes("directory")) {
      throw new UnusableDatabase(`${path}: its folder does not exist; name a file in one that does`);
    }
    throw error;
  }
}

function sentence(code: string, message: string): string {
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED")) {
    return "is locked by another process; wait for it, or name another file";
  }
  if (code === "SQLITE_READONLY_ROLLBACK") return INTERRUPTED;
  if (code === "SQLITE_NOTADB") return "is no database; name a new file, or one made with analyze --db";
  if (code.startsWith("SQLITE_READONLY") || NOT_ALLOWED.has(code)) {
    return "cannot be written here; name a file in a folder that can";
  }
  if (code === "SQLITE_FULL" || code === "ENOSPC") {
    return "the disk is full (its own, or that of temporary files); free some space, or name a file elsewhere";
  }
  return message;
}
