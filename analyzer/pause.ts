import { setImmediate } from "node:timers/promises";

/** Milliseconds without a pause. */
const LONGEST_WORK = 50;

/** A file is read without waiting for anything: without pauses no signal and no timer would be heard until its end. */
export class Pause {
  #last = Date.now();

  async whenDue(): Promise<void> {
    if (Date.now() - this.#last < LONGEST_WORK) return;
    await setImmediate();
    this.#last = Date.now();
  }
}
