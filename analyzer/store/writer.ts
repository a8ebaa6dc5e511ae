/**
 * Takes rows for a database. Those of a large audit that is kept are inserted by a thread of their own; the database
 * belongs to it until `close`. The caller waits when too many rows are under way, so that memory stays bounded.
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from "node:worker_threads";
import BetterSqlite, { type Database } from "better-sqlite3";
import { guard } from "./database.js";
import { type Cell, type PackedRows, RowBatch } from "./row-batch.js";
import { RowInserter } from "./rows.js";

const ROWS_PER_BATCH = 4096;
/** Batches handed to the thread and not yet inserted. */
const MAX_UNDER_WAY = 8;

/** Places in the state that both threads share: messages dealt with, and whether one could not be. */
export const STATE = { DONE: 0, FAILED: 1 } as const;

export interface ThreadData {
  path: string;
  port: MessagePort;
  state: Int32Array;
}

export type ToThread = PackedRows | "close";
/** An error of SQLite's. */
export interface FromThread {
  code: string;
  message: string;
}

/** Rows of one table. */
export interface Rows {
  add(cells: readonly Cell[]): void;
}

/** Only compiled code can be started as a thread; sources under a loader insert by themselves. */
const THREAD = new URL("./writer-thread.js", import.meta.url);
const HAS_THREAD = existsSync(fileURLToPath(THREAD));

export class Writer {
  readonly #database: Database;
  readonly #inserter: RowInserter;
  readonly #batches = new Map<string, RowBatch>();
  #thread: Thread | null = null;

  readonly #isLive: boolean;

  /** `isLive`: rows are inserted here, and a later row of the same number takes the place of the one before. */
  constructor(database: Database, isLive: boolean) {
    this.#database = database;
    this.#isLive = isLive;
    this.#inserter = new RowInserter(database, isLive);
  }

  table(name: string, columns: readonly string[]): Rows {
    const fresh = () => new RowBatch(name, columns, ROWS_PER_BATCH);
    this.#batches.set(name, fresh());
    return {
      add: (cells) => {
        const batch = this.#batches.get(name) as RowBatch;
        batch.add(cells);
        if (!batch.isFull) return;
        this.#batches.set(name, fresh());
        this.#insert(batch.pack());
      },
    };
  }

  /** Inserts what has come so far. */
  flush(): void {
    for (const [name, batch] of this.#batches) {
      if (batch.rows === 0) continue;
      this.#batches.set(name, new RowBatch(name, batch.columns, ROWS_PER_BATCH));
      this.#insertHere(batch.pack());
    }
  }

  /**
   * Inserts all that is left; the database is the caller's again.
   * @throws UnusableDatabase
   */
  close(): void {
    const left = [...this.#batches.values()].filter((batch) => batch.rows > 0);
    this.#batches.clear();
    if (this.#thread === null) for (const batch of left) this.#insertHere(batch.pack());
    else {
      for (const batch of left) this.#thread.insert(batch.pack());
      this.#thread.close();
    }
  }

  /** Gives up what is under way. */
  abandon(): void {
    this.#thread?.abandon();
  }

  #insert(batch: PackedRows): void {
    const path = this.#database.name;
    if (path === "" || !HAS_THREAD || this.#isLive) this.#insertHere(batch);
    else {
      this.#thread ??= new Thread(path);
      this.#thread.insert(batch);
    }
  }

  #insertHere(batch: PackedRows): void {
    guard(this.#database.name, () => this.#inserter.insert(batch));
  }
}

class Thread {
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #state = new Int32Array(new SharedArrayBuffer(8));
  #sent = 0;

  constructor(private readonly path: string) {
    const { port1, port2 } = new MessageChannel();
    const workerData: ThreadData = { path, port: port2, state: this.#state };
    this.#port = port1;
    this.#worker = new Worker(THREAD, { workerData, transferList: [port2] });
    this.#worker.unref();
  }

  insert(batch: PackedRows): void {
    this.#send(batch, [batch.kinds.buffer, batch.values]);
    this.#waitFor(this.#sent - MAX_UNDER_WAY);
  }

  close(): void {
    this.#send("close", []);
    this.#waitFor(this.#sent);
    this.#port.close();
  }

  abandon(): void {
    void this.#worker.terminate();
  }

  #send(message: ToThread, transfer: ArrayBuffer[]): void {
    this.#port.postMessage(message, transfer);
    this.#sent++;
  }

  /** Until that many messages have been dealt with. */
  #waitFor(count: number): void {
    for (;;) {
      if (Atomics.load(this.#state, STATE.FAILED) !== 0) this.#fail();
      const done = Atomics.load(this.#state, STATE.DONE);
      if (done >= count) return;
      Atomics.wait(this.#state, STATE.DONE, done);
    }
  }

  #fail(): never {
    const { code, message } = (receiveMessageOnPort(this.#port) as { message: FromThread }).message;
    return guard(this.path, () => {
      throw new BetterSqlite.SqliteError(message, code);
    });
  }
}
