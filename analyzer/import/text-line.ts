/**
 * The event line of ftrace's text, on bytes: most lines of a trace concern nobody and must be skipped without
 * making a string. Shapes: `trace_print_context()` and `lat_print_generic()` in kernel/trace/trace_output.c, and
 * `tep_print_event()` as trace-cmd's report calls it.
 *
 *              wl-109   [001] d..1.    13.652174: module_get: kvm_amd call_site=misc_open refcnt=2
 *     ^ 16 columns, pid   (tgid) cpu, flags, time,  name,       body
 */

/** Where in its buffer the parts of an event line are. One object is used again for every line. */
export class EventLine {
  commStart = 0;
  commEnd = 0;
  tid = 0;
  cpu = 0;
  /** False where the line does not tell the CPU. */
  hasCpu = true;
  /** Start and end of the flags column; equal when the line has none. */
  flagsStart = 0;
  flagsEnd = 0;
  /** `common_flags` where the line prints the number itself (`trace-cmd report -R -l`), else -1. */
  rawFlags = -1;
  /** Time in units of 10^9 ns, and the rest: exact, where nanoseconds since boot need not fit a double. */
  seconds = 0;
  nanos = 0;
  /** The clock is printed as a bare integer: it counts, it does not tell time. */
  counts = false;
  nameStart = 0;
  nameEnd = 0;
  nameHash = 0;
  /** False for `<stack trace>`, the function tracer and old syscall events, which have no `name:`. */
  named = false;
  bodyStart = 0;
  bodyEnd = 0;
}

const SPACE = 0x20;
const COLON = 0x3a;
const MINUS = 0x2d;
const OPEN = 0x28;
const DOT = 0x2e;
const ZERO = 0x30;

/** The kernel right-aligns the task name to 16 columns: `%16s-%-7d`. */
const COMM_WIDTH = 16;
/** KSYM_NAME_LEN: some events are named by a symbol. */
const MAX_NAME = 512;
/** More than NR_CPUS can be. */
const MAX_CPU = 65535;
/** No header is longer; what is behind is body and is not looked at by the slower patterns. */
const HEADER_BYTES = 256;

/** comm, which may hold anything, up to the first `-pid [cpu]`, tgid between. */
const ANY_COLUMNS = /^\s*(.*?)-(-?\d+)\s+(?:\(\s*(?:-+|\d+)\)\s+)?\[(\d{3,})\]/;
/** Latency format, no brackets: `insmod-134     1...1.    53.113068`; with -R `1-0x9`. */
const LATENCY_COLUMNS = /^\s*(.{1,8}?)-(-?\d+)\s+(\d+)(?:-0x([0-9a-f]{1,2})|([dDbX.][^\s\d:][^\s:]{1,6}))\s+(?=\d)/;

/**
 * Reads the event line in `buffer[start, end)` into `line`.
 * @param glued Characters of flags where they are glued to a raw time (`d..1.303280081900681`), 0 where they never are.
 * @returns false when it is something else: a frame, a mark, a comment, a continuation, or damage.
 */
export function readEventLine(buffer: Buffer, start: number, end: number, glued: number, line: EventLine): boolean {
  line.rawFlags = -1;
  return readAlignedColumns(buffer, start, end, glued, line) || readAnyColumns(buffer, start, end, glued, line);
}

/**
 * Bytes of `FILE: ` or `INSTANCE: ` before a line of a report on several; blanks stand for the top buffer. The line
 * behind a loss mark has none.
 * @param width That of the column in this text, 0 without one.
 */
export function prefixLength(buffer: Buffer, start: number, end: number, width: number): number {
  if (width === 0 || end - start < width) return 0;
  if (buffer[start + width - 2] === COLON && buffer[start + width - 1] === SPACE) return width;
  return skipSpaces(buffer, start, start + width) === start + width ? width : 0;
}

function readAlignedColumns(buffer: Buffer, start: number, end: number, glued: number, line: EventLine): boolean {
  let at = start + COMM_WIDTH;
  if (at + 8 > end || buffer[at] !== MINUS) return false;
  line.commStart = start;
  line.commEnd = at++;
  const negative = buffer[at] === MINUS;
  if (negative) at++;
  let digits = at;
  let pid = 0;
  while (isDigit(buffer[at]!)) pid = pid * 10 + buffer[at++]! - ZERO;
  if (at === digits || at - digits > 10 || buffer[at] !== SPACE) return false;
  line.tid = negative ? -pid : pid;
  at = skipSpaces(buffer, at, end);
  if (buffer[at] === OPEN) {
    at = buffer.indexOf(0x29, at) + 1;
    if (at === 0 || at >= end) return false;
    at = skipSpaces(buffer, at, end);
  }
  if (buffer[at++] !== 0x5b) return false;
  digits = at;
  let cpu = 0;
  while (isDigit(buffer[at]!)) cpu = cpu * 10 + buffer[at++]! - ZERO;
  if (at - digits < 3 || cpu > MAX_CPU || buffer[at] !== 0x5d) return false;
  line.cpu = cpu;
  return readFlags(buffer, at + 1, end, glued, line);
}

function readAnyColumns(buffer: Buffer, start: number, end: number, glued: number, line: EventLine): boolean {
  const header = buffer.toString("latin1", start, Math.min(end, start + HEADER_BYTES));
  const any = ANY_COLUMNS.exec(header);
  if (any) {
    line.commEnd = start + any[0].indexOf(any[1]!) + any[1]!.length;
    line.commStart = line.commEnd - any[1]!.length;
    line.tid = Number(any[2]);
    line.cpu = Number(any[3]);
    return line.cpu <= MAX_CPU && readFlags(buffer, start + any[0].length, end, glued, line);
  }
  const latency = LATENCY_COLUMNS.exec(header);
  if (!latency) return false;
  line.commEnd = start + latency[0].indexOf("-", latency[0].indexOf(latency[1]!) + latency[1]!.length);
  line.commStart = line.commEnd - latency[1]!.length;
  line.tid = Number(latency[2]);
  line.cpu = Number(latency[3]);
  line.rawFlags = latency[4] === undefined ? -1 : Number.parseInt(latency[4], 16);
  line.flagsEnd = start + latency[0].trimEnd().length;
  line.flagsStart = line.flagsEnd - (latency[5]?.length ?? 0);
  return line.cpu <= MAX_CPU && readTime(buffer, start + latency[0].length, end, line);
}

function readFlags(buffer: Buffer, start: number, end: number, glued: number, line: EventLine): boolean {
  const at = skipSpaces(buffer, start, end);
  line.flagsStart = at;
  line.flagsEnd = at;
  if (at >= end || isDigit(buffer[at]!)) return readTime(buffer, at, end, line);
  if (!isIrqFlag(buffer[at]!)) return false;
  let stop = at;
  while (stop < end && buffer[stop]! > SPACE && buffer[stop] !== COLON) stop++;
  if (buffer[stop] === COLON) stop = at + glued;
  if (stop - at < 3 || stop - at > 8) return false;
  line.flagsEnd = stop;
  return readTime(buffer, skipSpaces(buffer, stop, end), end, line);
}

function readTime(buffer: Buffer, start: number, end: number, line: EventLine): boolean {
  let at = start;
  while (at < end && isDigit(buffer[at]!)) at++;
  const width = at - start;
  if (width === 0 || width > 20) return false;
  line.counts = false;
  if (buffer[at] === DOT && width <= 15) {
    line.seconds = decimal(buffer, start, at);
    const fraction = ++at;
    let nanos = 0;
    let unit = 100_000_000;
    for (; at < end && isDigit(buffer[at]!); at++, unit /= 10) if (unit >= 1) nanos += (buffer[at]! - ZERO) * unit;
    if (at === fraction) return false;
    line.nanos = nanos;
  } else if (buffer[at] === 0x75 && buffer[at + 1] === 0x73 && width <= 15) {
    // Latency format: microseconds since its start, then a mark for long delays: `   23us!: `.
    const micros = decimal(buffer, start, at);
    line.seconds = Math.floor(micros / 1_000_000);
    line.nanos = (micros % 1_000_000) * 1000;
    at += 3;
  } else {
    const split = Math.max(start, at - 9);
    line.seconds = decimal(buffer, start, split);
    line.nanos = decimal(buffer, split, at);
    line.counts = true;
  }
  if (at >= end || buffer[at] !== COLON) return false;
  return readName(buffer, at + 1, end, line);
}

function readName(buffer: Buffer, start: number, end: number, line: EventLine): boolean {
  let at = skipSpaces(buffer, start, end);
  if (buffer[at] === OPEN && buffer[at + 1] === 0x2b) {
    // `trace-cmd report --ts-diff` prints `(+24)` before the name.
    at = skipSpaces(buffer, buffer.indexOf(0x29, at) + 1, end);
  }
  line.nameStart = at;
  let hash = 0;
  for (; at < end; at++) {
    const byte = buffer[at]!;
    if (byte <= SPACE || byte === OPEN || (byte === COLON && (at + 1 === end || buffer[at + 1]! <= SPACE))) break;
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  line.nameEnd = at;
  line.nameHash = hash;
  line.named = at < end && buffer[at] === COLON;
  line.bodyStart = line.named ? skipSpaces(buffer, at + 1, end) : line.nameStart;
  line.bodyEnd = end;
  return at > line.nameStart && at - line.nameStart <= MAX_NAME;
}

/** @returns the position of the first byte that is none, `end` where all are */
export function skipSpaces(buffer: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end && buffer[at] === SPACE) at++;
  return at;
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= 0x39;
}

/** First character of the flags column: `d`, `D`, `b`, `X` or `.`. */
function isIrqFlag(byte: number): boolean {
  return byte === DOT || byte === 0x64 || byte === 0x44 || byte === 0x62 || byte === 0x58;
}

/** At most 15 digits, so that the sum stays exact. */
function decimal(buffer: Buffer, start: number, end: number): number {
  let value = 0;
  for (let at = start; at < end; at++) value = value * 10 + buffer[at]! - ZERO;
  return value;
}

/** Nanoseconds (or raw counts) of a split time. */
export function toTime(seconds: number, nanos: number): bigint {
  const time = seconds * 1e9 + nanos;
  return Number.isSafeInteger(time) ? BigInt(time) : BigInt(seconds) * 1_000_000_000n + BigInt(nanos);
}

export function isEarlier(seconds: number, nanos: number, thanSeconds: number, thanNanos: number): boolean {
  return seconds < thanSeconds || (seconds === thanSeconds && nanos < thanNanos);
}

/** Task name; empty for the placeholders that the kernel prints when it does not know it. */
export function commOf(buffer: Buffer, line: EventLine): string {
  const comm = buffer.toString("utf8", line.commStart, line.commEnd).trimStart();
  return comm === "<...>" || comm === "<XXX>" || comm === "<unknown>" ? "" : comm;
}

/**
 * `common_flags` of the line, as far as every version prints them alike: irqs off 0x01, need-resched 0x04,
 * hardirq 0x08, softirq 0x10, NMI 0x40. null when the line has no flags column.
 */
export function flagsOf(buffer: Buffer, line: EventLine): number | null {
  if (line.rawFlags >= 0) return line.rawFlags;
  if (line.flagsEnd === line.flagsStart) return null;
  const [irqs, resched, context] = buffer.toString("latin1", line.flagsStart, line.flagsStart + 3);
  return (FLAGS_IRQS[irqs!] ?? 0) | (FLAGS_RESCHED[resched!] ?? 0) | (FLAGS_CONTEXT[context!] ?? 0);
}

const FLAGS_IRQS: Record<string, number> = { d: 0x01, D: 0x01 };
const FLAGS_RESCHED: Record<string, number> = { n: 0x04, N: 0x04, b: 0x04, B: 0x04 };
const FLAGS_CONTEXT: Record<string, number> = { h: 0x08, s: 0x10, H: 0x18, z: 0x40, Z: 0x48 };
