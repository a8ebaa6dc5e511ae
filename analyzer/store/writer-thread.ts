/** The thread that inserts the rows of a large audit while the main thread reads on. See writer.ts. */
import { workerData } from "node:worker_threads";
import BetterSqlite from "better-sqlite3";
import { useForWriting } from "./database.js";
import { RowInserter } from "./rows.js";
import { type FromThread, STATE, type ThreadData, type ToThread } from "./writer.js";

const { path, port, state } = workerData as ThreadData;
const database = new BetterSqlite(path);
useForWriting(database, path);
const rows = new RowInserter(database);

port.on("message", (message: ToThread) => {
  try {
    if (message !== "close") rows.insert(message);
    else database.close();
  } catch (error) {
    const { code, message: text } = error as { code?: string; message: string };
    port.postMessage({ code: code ?? "", message: text } satisfies FromThread);
    Atomics.store(state, STATE.FAILED, 1);
  }
  Atomics.add(state, STATE.DONE, 1);
  Atomics.notify(state, STATE.DONE);
  if (message === "close") port.close();
});
