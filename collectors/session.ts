/** What records: the kernel's side of a recording, behind which a backend stands. */
import type { Recording, Unarmed } from "./recording.js";

/** What is known of a recording's probes when it is over. */
export interface SessionEnd extends Pick<Recording, "counts" | "losses"> {
  /** Probes that did not stay armed all the time. */
  unarmed: Unarmed[];
  /** Why the trace is not complete; null when it is. */
  problem: string | null;
}

export interface Session extends Pick<Recording, "backend" | "bufferKb" | "modules"> {
  /**
   * Arms the plan and starts; when it returns, everything is recorded.
   * @returns probes that could not be armed.
   * @throws Refusal when nothing could.
   */
  start(): Promise<Unarmed[]>;
  /** Looks after itself; to be called once in a while. */
  look(): void;
  /** A number that grows with every event of a class. */
  activity(): number;
  /** Writes into the trace, as far as the backend can. */
  mark(text: string): void;
  /** Stops recording, completes the trace; the kernel keeps what was armed until it is disarmed. */
  stop(): Promise<SessionEnd>;
}

/** Time on the trace's clock, CLOCK_MONOTONIC, in nanoseconds. */
export function traceTime(): bigint {
  return process.hrtime.bigint();
}
