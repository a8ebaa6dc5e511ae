/** The thread that makes pages of the rows of a large audit while the main thread reads on. See writer.ts. */
import { workerData } from "node:worker_threads";
import { BulkLoad } from "./bulk-load.js";
import { type FromThread, STATE, type ThreadData, type ToThread } from "./writer.js";

const { path, port, state } = workerData as ThreadData;
let load: BulkLoad | null = null;

port.on("message", (message: ToThread) => {
  try {
    load ??= new BulkLoad(path);
    if (message !== "close") load.take(message);
    else load.close();
  } catch (error) {
    const { code, message: text } = error as { code?: string; message: string };
    port.postMessage({ code: code ?? "", message: text } satisfies FromThread);
    Atomics.store(state, STATE.FAILED, 1);
  }
  Atomics.add(state, STATE.DONE, 1);
  Atomics.notify(state, STATE.DONE);
  if (message === "close") port.close();
});
