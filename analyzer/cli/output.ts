/** Writing results where the user wants them. */
import { closeSync, openSync, writeSync } from "node:fs";
import { harmless } from "../report/harmless.js";
import { WrongUse } from "./wrong-use.js";

/**
 * Writes a result to a file, or to standard output. Whoever reads that may close it early (`| head`): the rest is not
 * wanted then, and the exit code stays what it is.
 */
export async function writeResult(result: string | Iterable<string>, file: string | null): Promise<void> {
  const chunks = typeof result === "string" ? [result] : result;
  if (file === null) {
    for (const chunk of chunks) if (!(await writeOut(chunk))) return;
    return;
  }
  const fd = openToWrite(file);
  try {
    for (const chunk of chunks) writeSync(fd, chunk);
  } finally {
    closeSync(fd);
  }
}

/**
 * Opens a file of the user's choice, anew.
 * @throws WrongUse when that cannot be.
 */
export function openToWrite(file: string): number {
  try {
    return openSync(file, "w");
  } catch (error) {
    throw new WrongUse(
      `${harmless(file)}: cannot be written (${(error as NodeJS.ErrnoException).code}); name another file`,
    );
  }
}

/** Writes to standard output; false when nobody reads it any more. */
export function writeOut(text: string | Buffer): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE" || error.code === "ERR_STREAM_DESTROYED") resolve(false);
      else reject(error);
    };
    process.stdout.once("error", fail);
    process.stdout.write(text, (error) => {
      // After a failed write the stream emits the error, too: the listener has to be there still.
      if (error) return fail(error);
      process.stdout.removeListener("error", fail);
      resolve(true);
    });
  });
}

/** Colour only on a terminal, and not under NO_COLOR (no-color.org). */
export function wantsColor(): boolean {
  return process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== "dumb";
}

/** A line on standard error that tells how far the work is, when it takes over a second and somebody watches. */
export class Progress {
  readonly #start = Date.now();
  #shown = 0;
  readonly #enabled: boolean;

  constructor(enabled: boolean) {
    this.#enabled = enabled && process.stderr.isTTY === true;
  }

  update(events: number): void {
    const now = Date.now();
    if (!this.#enabled || now - this.#start < 1000 || now - this.#shown < 200) return;
    this.#shown = now;
    const rate = Math.round(events / ((now - this.#start) / 1000));
    process.stderr.write(
      `\r\u001b[K${events.toLocaleString("en")} events read, ${rate.toLocaleString("en")} per second`,
    );
  }

  clear(): void {
    if (this.#shown > 0) process.stderr.write("\r\u001b[K");
  }
}
