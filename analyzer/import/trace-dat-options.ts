/** The options of a trace.dat: a list of (id, bytes). Source: trace-cmd, Documentation/trace-cmd/trace-cmd.dat.v7.5.txt. */

import { readTimeShift, type TimeShift } from "./time-shift.js";
import type { ByteReader } from "./trace-dat-bytes.js";

export const OPTION = {
  DONE: 0,
  DATE: 1,
  CPUSTAT: 2,
  BUFFER: 3,
  TRACECLOCK: 4,
  UNAME: 5,
  OFFSET: 7,
  CPUCOUNT: 8,
  TRACEID: 11,
  TIME_SHIFT: 12,
  TSC2NSEC: 14,
  HEADER_INFO: 16,
  FTRACE_EVENTS: 17,
  EVENT_FORMATS: 18,
  KALLSYMS: 19,
  CMDLINES: 21,
  BUFFER_TEXT: 22,
} as const;

/** Cycles to nanoseconds: `(cycles * mult) >> shift`. */
export interface CycleScale {
  mult: bigint;
  shift: bigint;
}

export interface TraceDatOptions {
  /** The clock in use, out of TRACECLOCK's `[local] global x86-tsc`. */
  clock: string | null;
  kernel: string | null;
  /** null: times are as recorded. */
  scale: CycleScale | null;
  /** Nanoseconds that are added to every time (`trace-cmd record --date`, `--ts-offset`). */
  timeOffset: bigint;
  cpuCount: number | null;
  /** Events that the kernel says it lost, by CPU. */
  losses: Map<number, number>;
  /** Names this recording: a guest's names its host's. */
  traceId: bigint | null;
  /** In a guest's file: from its clock to the host's. */
  timeShift: TimeShift | null;
}

export function noOptions(): TraceDatOptions {
  return {
    clock: null,
    kernel: null,
    scale: null,
    timeOffset: 0n,
    cpuCount: null,
    losses: new Map(),
    traceId: null,
    timeShift: null,
  };
}

/** Takes in one option that both versions know; others are left to the caller. `data` holds the option only. */
export function readCommonOption(options: TraceDatOptions, id: number, data: ByteReader): void {
  const text = () => data.bytes(data.remaining).toString("utf8").replace(/\0.*$/s, "");
  switch (id) {
    case OPTION.DATE:
      options.timeOffset += 1000n * parseOffset(text());
      break;
    case OPTION.OFFSET:
      options.timeOffset += parseOffset(text());
      break;
    case OPTION.CPUSTAT:
      addLosses(options.losses, text());
      break;
    case OPTION.TRACECLOCK:
      options.clock = parseClock(text());
      break;
    case OPTION.UNAME:
      // "Linux HOST RELEASE MACHINE"
      options.kernel = text().trim().split(" ")[2] ?? null;
      break;
    case OPTION.CPUCOUNT:
      options.cpuCount = data.u32();
      break;
    case OPTION.TRACEID:
      options.traceId = data.u64();
      break;
    case OPTION.TIME_SHIFT:
      options.timeShift = readTimeShift(data);
      break;
    case OPTION.TSC2NSEC:
      options.scale = { mult: BigInt(data.u32()), shift: BigInt(data.u32()) };
      break;
  }
}

/** The one in use out of tracefs `trace_clock`: `[local] global counter …`. */
export function parseClock(text: string): string | null {
  return /\[([^\][]+)\]/.exec(text)?.[1] ?? null;
}

/** `0x…` or decimal, signed, as strtoll() reads it. */
function parseOffset(text: string): bigint {
  const [, sign, digits] = /^\s*([+-]?)(0x[0-9a-f]{1,16}|\d{1,19})/i.exec(text) ?? [];
  if (digits === undefined) return 0n;
  return BigInt.asIntN(64, sign === "-" ? -BigInt(digits) : BigInt(digits));
}

/** Sums up tracefs `per_cpu/cpuN/stats`. `entries:` is no loss: those were still to be flushed and are in the file. */
function addLosses(losses: Map<number, number>, text: string): void {
  let cpu = -1;
  for (const line of text.split("\n")) {
    const [, key, value] = /^\s*(CPU|overrun|commit overrun|dropped events):\s*(\d{1,15})\s*$/.exec(line) ?? [];
    if (key === undefined) continue;
    if (key === "CPU") cpu = Number(value);
    else if (cpu >= 0 && Number(value) > 0) losses.set(cpu, (losses.get(cpu) ?? 0) + Number(value));
  }
}
