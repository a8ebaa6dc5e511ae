/** A recording handed over at the pace at which it was made. */
import type { TraceItem, TraceReader } from "./trace-event.js";

/** Items of so much time are handed over together; milliseconds. */
const TOGETHER = 50;

/** The reader's items, each no sooner than it happened: `speed` times as fast as then. */
export function replayed(reader: TraceReader, speed: number, signal: AbortSignal): TraceReader {
  return {
    facts: reader.facts,
    async *read(wants) {
      let start: { at: number; time: bigint } | null = null;
      for await (const batch of reader.read(wants)) {
        let due: TraceItem[] = [];
        for (const item of batch) {
          if (item.kind === "gap") {
            due.push(item);
            continue;
          }
          const { time } = item;
          start ??= { at: performance.now(), time };
          const wait = Number(time - start.time) / 1e6 / speed - (performance.now() - start.at);
          if (wait > TOGETHER) {
            if (due.length > 0) yield due;
            due = [];
            await sleep(wait, signal);
          }
          if (signal.aborted) return;
          due.push(item);
        }
        if (due.length > 0) yield due;
      }
    },
    close: () => reader.close(),
  };
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", wake);
      resolve();
    };
    const timer = setTimeout(wake, milliseconds);
    signal.addEventListener("abort", wake);
    if (signal.aborted) wake();
  });
}
