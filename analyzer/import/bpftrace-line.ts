/**
 * What a line tells that somebody's bpftrace program printed. Its author chose the form, so it is read for what such
 * lines hold in whatever order: a probe (`kprobe:kvm_put_kvm`) or a function's name, a time, a CPU, a task, values.
 *
 *     time=109728449750 cpu=1 tid=551 comm=insmod func=kvm_init opaque=0xffffffffc070c020
 *     [109728449750] insmod/551 1 kprobe:kvm_init arg0=ffffffffc070c020
 *     109728449750       1    insmod           551     kvm_register_device_ops returned 0
 */
import { type Fields, printedFields } from "./text-body.js";
import type { ProbeKind, Value } from "./trace-event.js";

/** What a column, or a key, holds. */
export type Role = "time" | "cpu" | "tid" | "pid" | "comm" | "task" | "function" | "other";

const KEYS: Readonly<Record<string, Role>> = {
  time: "time",
  time_ns: "time",
  ts: "time",
  ts_ns: "time",
  timestamp: "time",
  nsecs: "time",
  nsec: "time",
  ns: "time",
  elapsed: "time",
  cpu: "cpu",
  tid: "tid",
  pid: "pid",
  comm: "comm",
  process: "comm",
  command: "comm",
  func: "function",
  function: "function",
  fn: "function",
  probe: "function",
  event: "function",
  symbol: "function",
};

/** The role of a key or a heading (`TIME(ns)`, `PID`); null when it is none. */
export function roleOf(word: string): Role | null {
  const key = word
    .toLowerCase()
    .replace(/\(.*/, "")
    .replace(/[^a-z_].*$/, "");
  return Object.hasOwn(KEYS, key) ? KEYS[key]! : null;
}

/** The probe that a line is about, as far as it names one. */
export interface NamedProbe {
  kind: ProbeKind;
  /** Of a tracepoint. */
  system: string | null;
  /** Function, or the tracepoint's name. */
  name: string;
  offset: number | null;
}

const SPEC = /^(k|kprobe|kr|kretprobe|f|fentry|kfunc|fr|fexit|kretfunc|t|tracepoint|rt|rawtracepoint):(\S+?)$/;
const RETURNS = new Set(["kr", "kretprobe", "fr", "fexit", "kretfunc"]);
const TRACEPOINTS = new Set(["t", "tracepoint", "rt", "rawtracepoint"]);
/** A name of the kernel's; words of one part (`insmod`, `returned`) are taken for one only where a key says so. */
const NAME = /^[A-Za-z_][\w.]*_[\w.]*$/;

/** `kprobe:kvm:kvm_put_kvm+17`; builtin `probe` prints it as the program has it. */
export function readSpec(text: string): NamedProbe | null {
  const [, type, rest] = SPEC.exec(text) ?? [];
  if (type === undefined || rest === undefined) return null;
  const parts = rest.split(":");
  const last = parts.at(-1)!;
  if (TRACEPOINTS.has(type)) {
    return { kind: "tracepoint", system: parts.length > 1 ? parts[0]! : null, name: last, offset: null };
  }
  const [name = "", offset] = last.split("+");
  const kind = RETURNS.has(type) ? "kretprobe" : "kprobe";
  return { kind, system: null, name, offset: offset === undefined ? 0 : Number(offset) };
}

/** One column of a line's part before its first `key=`. */
export interface Word {
  text: string;
  /** `insmod/551`, `insmod-551`, `insmod(551)`: name and number. */
  task: { comm: string; tid: number } | null;
}

const TASK = /^(.{1,15}?)[/:(-](\d{1,7})\)?$/;

export function wordsOf(text: string): Word[] {
  return text
    .split(/[\s|,]+/)
    .map(bare)
    .filter((word) => word !== "")
    .map((word) => {
      const [, comm, tid] = TASK.exec(word) ?? [];
      const isTask = comm !== undefined && /[a-z]/i.test(comm) && readSpec(word) === null;
      return { text: word, task: isTask ? { comm, tid: Number(tid) } : null };
    });
}

/** Without what encloses or ends it: `[109]`, `(551)`, `kvm_init:`, `kvm_init()`. */
function bare(word: string): string {
  return word
    .replace(/^[[({<"']+/, "")
    .replace(/\(\)[:;]?$/, "")
    .replace(/[\])}>"',;:]+$/, "");
}

/** Whether a word may be a function's name although nothing says so. */
export function looksLikeName(word: string): boolean {
  return NAME.test(word) && word.length <= 128;
}

const LONGEST = 4096;
const RETURN_KEYS = /^(?:\$?ret|retval|rc|result|returns?|returned)$/i;
const RETURN_WORDS = /(?:^|\s)(?:returned|returns|return|exit|exits|->|=>|=)\s*:?\s*(-?\d+|0x[0-9a-f]+)\s*$/i;

/** A line taken apart, before anybody knows which of its words are what. */
export interface LineParts {
  words: Word[];
  /** Values whose key has a role. */
  roles: Partial<Record<Role, string>>;
  /** All other values, in order. */
  fields: Fields;
  /** It reports a return, by a key or a word. */
  isReturn: boolean;
}

/** @param line without its end */
export function takeApart(line: string): LineParts {
  const text = line.slice(0, LONGEST);
  const { head, fields } = printedFields(text);
  const returned = RETURN_WORDS.exec(head);
  const words = wordsOf(returned ? head.slice(0, returned.index) : head);
  const roles: LineParts["roles"] = {};
  const names: string[] = [];
  const values: Value[] = [];
  fields.names.forEach((key, index) => {
    const { text: value, rest } = fields.values[index]!;
    const role = roleOf(key);
    if (role === null || roles[role] !== undefined) {
      names.push(argumentName(key));
      values.push(toValue(value));
      if (rest !== "") words.push(...wordsOf(rest));
    } else if (role === "comm") roles.comm = rest === "" ? value : `${value} ${rest}`;
    else {
      roles[role] = bare(value);
      if (rest !== "") words.push(...wordsOf(rest));
    }
  });
  if (returned) {
    names.push("ret");
    values.push(toValue(returned[1]!));
  }
  return { words, roles, fields: { names, values }, isReturn: names.some((name) => RETURN_KEYS.test(name)) };
}

/** bpftrace counts a function's arguments from `arg0`, everybody else from 1. */
function argumentName(key: string): string {
  const [, number] = /^arg(\d)$/.exec(key) ?? [];
  return number === undefined ? key : `arg${Number(number) + 1}`;
}

const DECIMAL = /^-?\d{1,20}$/;
const HEX = /^0x[0-9a-f]{1,16}$/i;
/** `%llx` prints no 0x; kernel addresses begin with letters. */
const BARE_HEX = /^[0-9a-f]{1,16}$/;

export function toValue(text: string): Value {
  if (DECIMAL.test(text) || HEX.test(text)) return BigInt(text);
  return BARE_HEX.test(text) ? BigInt(`0x${text}`) : text;
}

/** A time in nanoseconds: a count of them, or seconds with a fraction; null for anything else. */
export function toNanoseconds(text: string): bigint | null {
  const [, seconds, fraction] = /^(\d{1,15})\.(\d{1,9})s?$/.exec(text) ?? [];
  if (fraction !== undefined) return BigInt(seconds!) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0"));
  if (/^\d{1,19}$/.test(text)) return BigInt(text);
  const [, hours, minutes, rest, part = ""] = /^(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?$/.exec(text) ?? [];
  if (hours === undefined) return null;
  const day = (BigInt(hours) * 60n + BigInt(minutes!)) * 60n + BigInt(rest!);
  return day * 1_000_000_000n + BigInt(part.padEnd(9, "0"));
}
