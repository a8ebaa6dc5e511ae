/**
 * Lines of `perf script`, on bytes. Source: tools/perf/builtin-script.c (perf_sample__fprintf_start(), and
 * sample__fprintf_callchain() in util/evsel_fprintf.c for the frames).
 *
 *     qemu-system-x86  1234/1250  [003]  441995.133575:          1 probe:kvm_put_kvm: (ffffffffc049ded0) arg1=0x1
 *     comm             pid /tid    cpu   time               period name               body
 *
 * Every column but the name may be missing (`-F`).
 */
import { type EventLine, skipSpaces } from "./text-line.js";
import type { Mark } from "./text-marks.js";
import type { CodeLocation } from "./trace-event.js";

const SPACE = 0x20;
const TAB = 0x09;
const COLON = 0x3a;
const DOT = 0x2e;
const ZERO = 0x30;
const SLASH = 0x2f;
const MINUS = 0x2d;
const MAX_NAME = 512;
const MAX_CPU = 65535;
/** Columns before the time take no more: comm (16), pid/tid, CPU, misc. */
const MOST_COLUMNS = 128;

/** @returns false when the line is something else, or lacks time or task: then its event can be given no place. */
export function readPerfLine(buffer: Buffer, start: number, end: number, line: EventLine): boolean {
  line.rawFlags = -1;
  line.flagsStart = start;
  line.flagsEnd = start;
  line.counts = false;
  const colon = findTime(buffer, start, end);
  if (colon < 0) return false;
  const timeStart = readTimeBefore(buffer, start, colon, line);
  return timeStart > start && readColumns(buffer, start, timeStart, line) && readEvent(buffer, colon + 1, end, line);
}

/** Position of the colon behind the time, -1 without one. */
function findTime(buffer: Buffer, start: number, end: number): number {
  const stop = Math.min(end, start + MOST_COLUMNS);
  for (let at = buffer.indexOf(COLON, start); at >= 0 && at < stop; at = buffer.indexOf(COLON, at + 1)) {
    let digits = at;
    while (digits > start && isDigit(buffer[digits - 1]!)) digits--;
    const fraction = at - digits;
    if ((fraction === 6 || fraction === 9) && buffer[digits - 1] === DOT && isDigit(buffer[digits - 2]!)) return at;
  }
  return -1;
}

/** @returns where the time begins. */
function readTimeBefore(buffer: Buffer, start: number, colon: number, line: EventLine): number {
  let at = colon;
  let nanos = 0;
  let unit = 1;
  for (at--; buffer[at] !== DOT; at--, unit *= 10) nanos += (buffer[at]! - ZERO) * unit;
  line.nanos = unit === 1e6 ? nanos * 1000 : nanos;
  const dot = at;
  let seconds = 0;
  unit = 1;
  for (at--; at >= start && isDigit(buffer[at]!) && dot - at <= 15; at--, unit *= 10) {
    seconds += (buffer[at]! - ZERO) * unit;
  }
  line.seconds = seconds;
  return at + 1;
}

function readColumns(buffer: Buffer, start: number, timeStart: number, line: EventLine): boolean {
  let at = skipBack(buffer, start, timeStart);
  // `-F +misc`: letters for kernel, user, hypervisor, guest.
  let word = at;
  while (word > start && buffer[word - 1]! >= 0x41 && buffer[word - 1]! <= 0x5a) word--;
  if (word < at && buffer[word - 1] === SPACE) at = skipBack(buffer, start, word);
  line.hasCpu = buffer[at - 1] === 0x5d;
  line.cpu = 0;
  if (line.hasCpu) {
    const close = at - 1;
    const open = buffer.lastIndexOf(0x5b, close);
    if (open < start) return false;
    for (at = open + 1; at < close; at++) {
      if (!isDigit(buffer[at]!)) return false;
      line.cpu = line.cpu * 10 + buffer[at]! - ZERO;
    }
    if (line.cpu > MAX_CPU) return false;
    at = skipBack(buffer, start, open);
  }
  const end = at;
  let tid = 0;
  for (let unit = 1; at > start && isDigit(buffer[at - 1]!) && unit < 1e10; unit *= 10) {
    tid += (buffer[--at]! - ZERO) * unit;
  }
  if (at === end) return false;
  if (buffer[at - 1] === MINUS) {
    at--;
    tid = -tid;
  }
  line.tid = tid;
  if (buffer[at - 1] === SLASH) {
    at--;
    while (at > start && (isDigit(buffer[at - 1]!) || buffer[at - 1] === MINUS)) at--;
  }
  if (at > start && buffer[at - 1] !== SPACE) return false;
  line.commStart = start;
  line.commEnd = skipBack(buffer, start, at);
  return true;
}

function readEvent(buffer: Buffer, from: number, end: number, line: EventLine): boolean {
  let at = skipSpaces(buffer, from, end);
  let digits = at;
  while (digits < end && isDigit(buffer[digits]!)) digits++;
  // The period, where it is not the beginning of a name.
  if (digits > at && buffer[digits] === SPACE) at = skipSpaces(buffer, digits, end);
  line.nameStart = at;
  let hash = 0;
  for (; at < end; at++) {
    const byte = buffer[at]!;
    if (byte <= SPACE) return false;
    if (byte === COLON && (at + 1 === end || buffer[at + 1]! <= SPACE)) break;
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  if (at === end || at === line.nameStart || at - line.nameStart > MAX_NAME) return false;
  line.nameEnd = at;
  line.nameHash = hash;
  line.named = true;
  line.bodyStart = skipSpaces(buffer, at + 1, end);
  line.bodyEnd = end;
  // Records that are no samples (--show-task-events and the like).
  return buffer.toString("latin1", line.nameStart, line.nameStart + 12) !== "PERF_RECORD_";
}

function skipBack(buffer: Buffer, start: number, from: number): number {
  let at = from;
  while (at > start && buffer[at - 1] === SPACE) at--;
  return at;
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= 0x39;
}

/** Position of the frame in `\t     ffffffffc049ded1 kvm_put_kvm+0x1 ([kvm])`, -1 for other lines. */
export function perfFrameStart(buffer: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end && (buffer[at] === SPACE || buffer[at] === TAB)) at++;
  if (at === start) return -1;
  const digits = at;
  while (at < end && isHex(buffer[at]!)) at++;
  const isFrame = at - digits >= 4 && at - digits <= 16 && (at === end || buffer[at] === SPACE);
  return isFrame ? digits : -1;
}

function isHex(byte: number): boolean {
  return isDigit(byte) || (byte >= 0x61 && byte <= 0x66);
}

const FRAME = /^([0-9a-f]{4,16})(?: (\S+?)(?:\+0x([0-9a-f]{1,13}))?)?(?: \((.*)\))?$/;
const MODULE = /^(?:\[([\w-]+)\]|.*\/([\w-]+)\.ko(?:\.\w+)?)$/;
const NOT_A_MODULE = new Set(["vdso", "vsyscall", "unknown", "heap", "stack", "guest", "hypervisor"]);

/** @returns null for frames of user space, and for functions that are inlined there: they repeat the next address. */
export function parsePerfFrame(text: string): CodeLocation | null {
  const [, digits, symbol, offset, place] = FRAME.exec(text) ?? [];
  if (digits === undefined || place === "inlined") return null;
  const named = place === undefined ? null : MODULE.exec(place);
  const module = (named?.[1] ?? named?.[2])?.replaceAll("-", "_") ?? null;
  const address = BigInt(`0x${digits}`);
  const isKernel = place?.startsWith("[kernel.") || (module !== null && !NOT_A_MODULE.has(module));
  if (address < 0x8000_0000_0000_0000n && !isKernel) return null;
  const isKnown = symbol !== undefined && !symbol.startsWith("[");
  return {
    address,
    symbol: isKnown ? symbol : null,
    offset: isKnown && offset !== undefined ? Number.parseInt(offset, 16) : null,
    module,
  };
}

/** `PERF_RECORD_LOST lost 12` behind the columns, and of a whole recording `PERF_RECORD_LOST_SAMPLES lost 12`. */
const LOST = /(?:\[(\d{3,5})\]\s.*)?PERF_RECORD_(LOST|LOST_SAMPLES):? +lost (\d{1,15})/;

export function readPerfMark(line: string): Mark | null {
  const [, cpu, kind, lost] = LOST.exec(line) ?? [];
  if (lost !== undefined) {
    const of = cpu === undefined || kind === "LOST_SAMPLES" ? null : Number(cpu);
    return { kind: "loss", code: "lost-events", cpu: of, lost: Number(lost) };
  }
  if (line.startsWith("#") || line.includes("PERF_RECORD_")) return { kind: "comment" };
  return /\s\d+\.\d{6}(?:\d{3})?: /.test(line) ? { kind: "torn" } : null;
}
