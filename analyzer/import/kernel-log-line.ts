/**
 * What stands before the kernel's own words in a line of its log: the prefixes of printk (kernel/printk/printk.c:
 * level, time, caller), of dmesg, syslog and journalctl, and of whatever kept a console.
 */
import type { Nanoseconds } from "./trace-event.js";

export interface LogLine {
  /** The kernel's words, no prefix, no escape sequences; leading blanks removed. */
  text: string;
  time: Nanoseconds | null;
  /** `boot`: seconds since boot; `wall`: nanoseconds since 1970 (UTC where the line names no zone). */
  clock: "boot" | "wall" | null;
  /** `T123` (a task) or `C0` (a CPU, in interrupts), with CONFIG_PRINTK_CALLER. */
  caller: string | null;
}

const ESCAPES =
  /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007]*\u0007|[()][A-Z0-9]|[=>78cM])|[\u0000-\u0008\u000b-\u001a\u007f]/g;
const BLANKS = /^\s+/;
/** `<4>`, `<12>` of printk and syslog; also doubled. */
const LEVEL = /^(?:<\d{1,3}>)+/;
/** dmesg -x: `kern  :warn  : `. */
const DECODED =
  /^(?:kern|user|daemon|syslog|auth|local\d)\s*:\s*(?:emerg|alert|crit|err|warn|notice|info|debug)\s*:\s*/;
/** `[   12.345678]`, `[   12.345678 <    0.000100>]`, `[   12.345678,3]` */
const BOOT = /^\[\s*(\d{1,10})\.(\d{3,9})(?:\s*<\s*\d+\.\d+>|,\d+)?\]/;
/** `[T123]`, `[    C0]`, right behind the time or one blank after it. */
const CALLER = /^ ?\[\s*([TC]\d{1,7})\]/;
/** `[Tue Nov 24 20:33:45 2026]`: dmesg -T */
const HUMAN = /^\[((?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [\d ]\d \d\d:\d\d:\d\d \d{4})(?: <\s*\d+\.\d+>)?\]/;
/** `2026-11-24T20:33:45.123456+00:00`: dmesg --time-format=iso, journalctl -o short-iso, syslog, CI logs. */
const ISO = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d)?\s/;
/** `Nov 24 20:33:45.123456`: syslog, journalctl -o short and short-precise; `Sun Sep  1 19:30:19 2019`: logread. */
const SYSLOG = /^(?:[A-Z][a-z]{2} )?([A-Z][a-z]{2}) ([\d ]\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?: (\d{4}))?\s/;
/** `host kernel: `, `host kernel[0]: `, `kern.warn kernel: ` behind a syslog time. */
const ORIGIN = /^(?:\S{1,255} )?kernel(?:\[\d+\])?: ?/;
/** Another program of the same journal. */
const OTHER_ORIGIN = /^[^\s:]{1,255} [\w./@-]{1,64}(?:\[\d+\])?: /;
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/** @returns null for a line of another program. */
export function readLogLine(raw: string): LogLine | null {
  let text = raw.includes("\u001b") || raw.includes("\r") ? raw.replace(ESCAPES, "") : raw;
  const line: LogLine = { text: "", time: null, clock: null, caller: null };
  text = text.replace(BLANKS, "");
  // Prefixes come in any order and number: a CI log of a console capture of a kernel log.
  for (let layers = 0; layers < 6; layers++) {
    const rest = withoutPrefix(text, line);
    if (rest === null) break;
    text = rest.replace(BLANKS, "");
    if (text === OTHER) return null;
  }
  line.text = text.trimEnd();
  return line;
}

const OTHER = "\u0000";

/** One prefix less; null when there is none. */
function withoutPrefix(text: string, line: LogLine): string | null {
  const first = text.charCodeAt(0);
  if (first === 0x3c) {
    const level = LEVEL.exec(text);
    return level ? text.slice(level[0].length) : null;
  }
  if (first === 0x5b) return withoutBrackets(text, line);
  if (first >= 0x30 && first <= 0x39) {
    const iso = ISO.exec(text);
    if (!iso) return null;
    setWall(line, Date.parse(`${iso[1]}${zone(iso[3])}`), iso[2]);
    return withoutOrigin(text.slice(iso[0].length));
  }
  const syslog = SYSLOG.exec(text);
  if (syslog) {
    const [whole, month = "", day = "", clock = "", fraction, year] = syslog;
    const number = MONTHS.indexOf(month);
    if (number < 0) return null;
    // Syslog leaves the year out: any one keeps the order within a log.
    const date = `${year ?? "1970"}-${pad(number + 1)}-${pad(Number(day))}T${clock}Z`;
    setWall(line, Date.parse(date), fraction);
    return withoutOrigin(text.slice(whole.length));
  }
  const decoded = DECODED.exec(text);
  if (decoded) return text.slice(decoded[0].length);
  const origin = text.startsWith("kernel") ? /^kernel(?:\[\d+\])?: /.exec(text) : null;
  return origin ? text.slice(origin[0].length) : null;
}

function withoutBrackets(text: string, line: LogLine): string | null {
  const boot = BOOT.exec(text);
  if (boot) {
    const [whole, seconds = "0", fraction = "0"] = boot;
    line.time = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0"));
    line.clock = "boot";
    const rest = text.slice(whole.length);
    const caller = CALLER.exec(rest);
    if (caller) line.caller = caller[1] ?? null;
    // journalctl -o short-monotonic: `[   12.345678] host kernel: text`
    return withoutKernel((caller ? rest.slice(caller[0].length) : rest).replace(BLANKS, ""));
  }
  const human = HUMAN.exec(text);
  if (human) {
    const [whole, date = ""] = human;
    setWall(line, Date.parse(`${date} UTC`), undefined);
    const rest = text.slice(whole.length);
    const caller = CALLER.exec(rest);
    if (caller) line.caller = caller[1] ?? null;
    return caller ? rest.slice(caller[0].length) : rest;
  }
  const caller = CALLER.exec(text);
  if (!caller) return null;
  line.caller = caller[1] ?? null;
  return text.slice(caller[0].length);
}

function withoutKernel(text: string): string {
  const origin = ORIGIN.exec(text);
  return origin ? text.slice(origin[0].length) : text;
}

/** Behind the time of a syslog: the kernel's own lines, and those of rmmod, which says itself that a module is in use. */
function withoutOrigin(text: string): string {
  const own = withoutKernel(text);
  if (own !== text || !OTHER_ORIGIN.test(text) || /\b(?:rmmod|modprobe)\b/.test(text)) return own;
  return OTHER;
}

/** A boot time, if there is one, is the kernel's own and stays. */
function setWall(line: LogLine, milliseconds: number, fraction: string | undefined): void {
  if (!Number.isFinite(milliseconds) || line.clock === "boot") return;
  line.time = BigInt(milliseconds) * 1_000_000n + BigInt((fraction ?? "0").padEnd(9, "0"));
  line.clock = "wall";
}

function zone(text: string | undefined): string {
  if (text === undefined || text === "Z") return "Z";
  return text.includes(":") ? text : `${text.slice(0, 3)}:${text.slice(3)}`;
}

function pad(number: number): string {
  return String(number).padStart(2, "0");
}
