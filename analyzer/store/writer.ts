/**
 * Takes rows for a database. Those of a large audit that is kept become pages of its file in a thread of their own; the
 * file must be left alone until `close`. The caller waits when too many rows are under way, so that memory stays
 * bounded.
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from "node:worker_threads";
import BetterSqlite, { type Database } from "better-sqlite3";
import { guard } from "./database.js";
import { type Cell, type PackedRows, RowBatch } from "./row-batch.js";
import { RowInserter } from "./rows.js";

const ROWS_PER_BATCH = 4096;
/** Batches handed to the thread and not yet in the file. */
const MAX_UNDER_WAY = 8;

/** Places in the state that both threads share: messages dealt with, and whether one could not be. */
export const STATE = { DONE: 0, FAILED: 1 } as const;

export interface ThreadData {
  path: string;
  port: MessagePort;
  state: Int32Array;
}

export type ToThread = PackedRows | "close";
/** An error of the file system's. */
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
  readonly #waiting: string[] = [];
  #thread: Thread | null = null;
  readonly #mayUseThread: boolean;

  /** `isLive`: rows are inserted here, and a later row of the same number takes the place of the one before. */
  constructor(database: Database, isLive: boolean) {
    this.#database = database;
    this.#mayUseThread = database.name !== "" && HAS_THREAD && !isLive;
    this.#inserter = new RowInserter(database, isLive);
  }

  /** A table whose rows come in the order of their numbers, in great numbers. All its columns must be given. */
  ordered(name: string, columns: readonly string[]): Rows {
    if (!this.#mayUseThread) return this.temporary(name, columns);
    return this.#table(name, columns, (batch) => {
      this.#thread ??= new Thread(this.#database.name);
      return this.#thread.take(batch);
    });
  }

  /** A table whose rows come in any order; they wait elsewhere while the file may be the thread's. */
  unordered(name: string, columns: readonly string[]): Rows {
    if (!this.#mayUseThread) return this.temporary(name, columns);
    this.#database.exec(`CREATE TEMP TABLE waiting_${name} AS SELECT * FROM ${name} LIMIT 0`);
    this.#waiting.push(name);
    return this.temporary(`waiting_${name}`, columns);
  }

  /** A table that is not in the file, or a small one. */
  temporary(name: string, columns: readonly string[]): Rows {
    return this.#table(name, columns, (batch) => this.#insertHere(batch));
  }

  /** `pass` hands a full batch on and gives an empty one to go on with. */
  #table(name: string, columns: readonly string[], pass: (batch: RowBatch) => RowBatch): Rows {
    let batch = new RowBatch(name, columns, ROWS_PER_BATCH);
    this.#batches.set(name, batch);
    return {
      add: (cells) => {
        batch.add(cells);
        if (!batch.isFull) return;
        batch = pass(batch);
        this.#batches.set(name, batch);
      },
    };
  }

  /** Inserts what has come so far. */
  flush(): void {
    for (const batch of this.#batches.values()) this.#insertHere(batch);
  }

  /**
   * Puts all that is left into the database, which is the caller's again.
   * @throws UnusableDatabase
   */
  close(): void {
    for (const batch of this.#batches.values()) {
      if (batch.rows === 0 || this.#thread?.knows(batch.table) !== true) continue;
      this.#thread.take(batch);
      this.#batches.delete(batch.table);
    }
    this.#thread?.close();
    this.flush();
    for (const name of this.#waiting) {
      guard(this.#database.name, () =>
        this.#database.exec(`INSERT INTO ${name} SELECT * FROM waiting_${name} ORDER BY 1; DROP TABLE waiting_${name}`),
      );
    }
  }

  /** Gives up what is under way. */
  abandon(): void {
    this.#thread?.abandon();
  }

  #insertHere(batch: RowBatch): RowBatch {
    if (batch.rows > 0) guard(this.#database.name, () => this.#inserter.insert(batch.pack()));
    batch.clear();
    return batch;
  }
}

class Thread {
  /** Batches that it was given, by table, and as which message; the oldest first. */
  readonly #given = new Map<string, { batch: RowBatch; message: number }[]>();
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

  /** Whether it has rows of a table. */
  knows(table: string): boolean {
    return this.#given.has(table);
  }

  /** @returns an empty batch of the same table. */
  take(batch: RowBatch): RowBatch {
    const given = this.#given.get(batch.table) ?? [];
    this.#given.set(batch.table, given);
    this.#send(batch.pack());
    given.push({ batch, message: this.#sent });
    this.#waitFor(this.#sent - MAX_UNDER_WAY);
    if (given[0]!.message > Atomics.load(this.#state, STATE.DONE)) {
      return new RowBatch(batch.table, batch.columns, ROWS_PER_BATCH);
    }
    const { batch: spare } = given.shift()!;
    spare.clear();
    return spare;
  }

  close(): void {
    this.#send("close");
    this.#waitFor(this.#sent);
    this.#port.close();
  }

  abandon(): void {
    void this.#worker.terminate();
  }

  #send(message: ToThread): void {
    this.#port.postMessage(message);
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
