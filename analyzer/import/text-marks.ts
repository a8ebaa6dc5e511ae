/** Lines that are no events but say something: what was lost, where a capture begins. */
import type { GapCode } from "./trace-event.js";

export type Mark =
  /** Events are missing before the CPU's next line (null: any CPU's); `lost` is null when nobody counted them. */
  | { kind: "loss"; code: GapCode; cpu: number | null; lost: number | null }
  /** Another capture begins. */
  | { kind: "capture" }
  | { kind: "comment" }
  /** What is left of an event line that cannot be read. */
  | { kind: "torn" };

/** Bytes of a line that tell its kind. */
export const MARK_LENGTH = 256;

/** `CPU:1 [LOST 12 EVENTS]` of the kernel (without a number since 5.7), `CPU:1 [12 EVENTS DROPPED]` of trace-cmd. */
const LOST = /^\s*CPU:(\d{1,5}) \[(?:LOST (?:(\d{1,15}) )?EVENTS|(?:(\d{1,15}) )?EVENTS DROPPED)\]/;
const STARTED = /^\s*##### CPU (\d{1,5}) buffer started ####/;
const ENTRIES = /^\s*# entries-in-buffer\/entries-written: (\d{1,15})\/(\d{1,15})/;
const CAPTURE = /^\s*# tracer: |^(?:.*: )?(?:cpus=\d+|version = \d+)$/;
/** trace-cmd's notes, the second only with --debug. */
const COMMENT = /^\s*#|^CPU \d+ is empty$|^\s*CPU:\d+ \[SUBBUFFER START\]/;
const TORN = /-\d+\s+(?:\(.{1,9}\)\s+)?\[\d{3,}\]|\[\d{3,}\]\s.*\d\.\d{6,9}: /;

/** @param line at most MARK_LENGTH characters of a line that is no event. @returns null for ordinary text. */
export function readMark(line: string): Mark | null {
  const lost = LOST.exec(line);
  if (lost) return { kind: "loss", code: "lost-events", cpu: Number(lost[1]), lost: toCount(lost[2] ?? lost[3]) };
  const started = STARTED.exec(line);
  if (started) return { kind: "loss", code: "overwritten", cpu: Number(started[1]), lost: null };
  const entries = ENTRIES.exec(line);
  const overwritten = entries ? Number(entries[2]) - Number(entries[1]) : 0;
  if (overwritten > 0) return { kind: "loss", code: "overwritten", cpu: null, lost: overwritten };
  if (CAPTURE.test(line)) return { kind: "capture" };
  if (COMMENT.test(line)) return { kind: "comment" };
  return TORN.test(line) ? { kind: "torn" } : null;
}

function toCount(digits: string | undefined): number | null {
  return digits === undefined ? null : Number(digits);
}
