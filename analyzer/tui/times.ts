/** Times in as many digits as one needs. */
import { seconds } from "../report/text.js";

/** A length of time for people: `1.2 s`, `35 ms`, `7 µs`. */
export function duration(nanoseconds: bigint): string {
  const sign = nanoseconds < 0n ? "-" : "";
  const length = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  if (length >= 100_000_000_000n) return `${sign}${(length / 1_000_000_000n).toLocaleString("en")} s`;
  if (length >= 1_000_000_000n) return `${sign}${tenths(length, 1_000_000_000n)} s`;
  if (length >= 1_000_000n) return `${sign}${tenths(length, 1_000_000n)} ms`;
  if (length >= 1000n) return `${sign}${tenths(length, 1000n)} µs`;
  return `${sign}${length} ns`;
}

function tenths(length: bigint, unit: bigint): string {
  const whole = length / unit;
  return whole >= 100n ? String(whole) : `${whole}.${((length % unit) * 10n) / unit}`;
}

/** The ends of a time axis and how long it is. */
export function axisLabels(from: bigint, to: bigint, columns: number): string {
  const left = seconds(from);
  const right = seconds(to);
  const middle = `◂ ${duration(to - from)} ▸`;
  const room = columns - left.length - right.length;
  if (room < middle.length + 2) return `${left}${" ".repeat(Math.max(1, room))}${right}`.slice(0, columns);
  const before = Math.floor((room - middle.length) / 2);
  return `${left}${" ".repeat(before)}${middle}${" ".repeat(room - middle.length - before)}${right}`;
}
