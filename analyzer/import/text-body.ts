/**
 * Event bodies: what stands behind `name:`. A probe event prints its arguments as ` name=value`; a tracepoint prints
 * whatever its TP_printk says. Value syntax: kernel/trace/trace_probe.c (`DEFINE_BASIC_PRINT_TYPE_FUNC`).
 */
import type { Value } from "./trace-event.js";

export interface Fields {
  names: string[];
  values: Value[];
}

const NEXT_KEY = /(?:^|\s)([A-Za-z_$][\w$]{0,63})=/g;
const AT_KEY_OR_END = /\s*$|\s+[A-Za-z_$][\w$]{0,63}=/y;
/** MAX_TRACE_ARGS of the kernel; no format has more fields. */
const MAX_FIELDS = 128;
const CLOSING: Record<string, string> = { '"': '"', "{": "}", "(": ")" };

/** Scans `a=1 b="x y" c={0x1,0x2}`. What looks like a key inside quotes, braces or parentheses is none. */
function scanFields(text: string): { names: string[]; texts: string[]; from: number } {
  const names: string[] = [];
  const texts: string[] = [];
  NEXT_KEY.lastIndex = 0;
  let key = NEXT_KEY.exec(text);
  const from = key?.index ?? text.length;
  while (key && names.length < MAX_FIELDS) {
    const start = NEXT_KEY.lastIndex;
    NEXT_KEY.lastIndex = closedAt(text, start);
    const next = NEXT_KEY.exec(text);
    names.push(key[1]!);
    texts.push(text.slice(start, next ? next.index : text.length).trimEnd());
    key = next;
  }
  return { names, texts, from };
}

/** A value's first word, and what stands between it and the next key. */
interface PrintedValue {
  text: string;
  rest: string;
}

/** `key: 0x1`, or `tid: 1` where the key is one that every program has. */
const COLON_KEY = /\b(?:([a-z]+): ?(?=0x[0-9a-f])|(cpu|tid|pid|ret|retval|rc|arg\d|time|ts|nsecs): ?(?=-?\d))/g;

/** Somebody's own `key=value` (or `key: value`) pairs, and what stands before the first. */
export function printedFields(line: string): { head: string; fields: { names: string[]; values: PrintedValue[] } } {
  const text = line.replace(COLON_KEY, (_, plain, known) => `${plain ?? known}=`);
  const { names, texts, from } = scanFields(text);
  const values = texts.map((value) => {
    const closed = closedAt(value, 0);
    const quoted = closed > 0 ? value.slice(0, closed) : null;
    const end = quoted?.length ?? /[\s,]/.exec(value)?.index ?? value.length;
    const first = quoted?.startsWith('"') ? quoted.slice(1, -1) : value.slice(0, end);
    return { text: first, rest: value.slice(end).replace(/^[\s,]+/, "") };
  });
  return { head: text.slice(0, from), fields: { names, values } };
}

/** Where the quoted or bracketed value at `start` ends: quotes inside are not escaped, so a key or the end must follow. */
function closedAt(text: string, start: number): number {
  const closing = CLOSING[text[start] ?? ""];
  if (closing === undefined) return start;
  for (let at = text.indexOf(closing, start + 1); at !== -1; at = text.indexOf(closing, at + 1)) {
    AT_KEY_OR_END.lastIndex = at + 1;
    if (AT_KEY_OR_END.test(text)) return at + 1;
  }
  return start;
}

const DECIMAL = /^-?\d{1,20}$/;
const HEX = /^0x[0-9a-f]{1,16}$/i;
const BARE_HEX = /^[0-9a-f]{1,16}$/;
/** Option `fields` prints numbers twice: `0x2 (2)`. */
const TWICE = /^0x[0-9a-f]{1,16} \((-?\d{1,20})\)$/;

/** A value as printed: numbers as numbers, `(fault)` as null, everything else as string. */
function toValue(text: string): Value {
  if (DECIMAL.test(text) || HEX.test(text)) return BigInt(text);
  if (text === "(fault)") return null;
  if (text.length > 1 && text.startsWith('"') && text.endsWith('"')) return text.slice(1, -1);
  const twice = TWICE.exec(text);
  return twice ? BigInt(twice[1]!) : text;
}

/** Arguments of a probe event. Old kernels (3.2) print hex without 0x: a word that cannot be decimal is read so. */
export function probeFields(body: string): Fields {
  const { names, texts } = scanFields(body);
  return { names, values: texts.map((text) => (BARE_HEX.test(text) && !DECIMAL.test(text) ? hex(text) : char(text))) };
}

function hex(text: string): Value {
  return BigInt(`0x${text}`);
}

/** Type `char` prints `'c'`. */
function char(text: string): Value {
  return text.length === 3 && text.startsWith("'") && text.endsWith("'") ? text[1]! : toValue(text);
}

/**
 * Arguments of a call as the function tracers print them, `kvm=0x1, type=4`: by the names of the prototype. Those of a
 * function without BTF have no names; of what has more than a register holds the kernel prints none.
 */
export function callFields(text: string): Fields {
  const parts = text.split(", ").filter((part) => part !== "" && part !== "...");
  const named = parts.slice(0, MAX_FIELDS).map((part) => part.split("=", 2) as [string, string?]);
  return {
    names: named.map(([first, value], index) => (value === undefined ? `arg${index + 1}` : first)),
    // An enum's constant stands behind its number: `reason=0 [APICV_INHIBIT_REASON_DISABLED]`.
    values: named.map(([first, value]) => toValue((value ?? first).replace(/ \[.*$/, ""))),
  };
}

interface KnownBody {
  fields: readonly string[];
  /** A group for each field; a field that this kernel does not print has none. */
  body: RegExp;
}

const MODULE_REFERENCE: KnownBody = {
  fields: ["ip", "refcnt", "name"],
  body: /^(?<name>[^\s=]+) call_site=(?<ip>\S+)(?: \[\S+\])? refcnt=(?<refcnt>-?\d+)$/,
};

/**
 * Tracepoints whose text is read back into the fields of their format, in its order and with its names, so that a
 * text and a trace.dat of one run look alike. `%ps` appends ` [module]`, which trace.dat's symbols do not carry.
 */
const KNOWN: Record<string, KnownBody> = {
  module_load: { fields: ["taints", "name"], body: /^(?<name>[^\s=]+) *(?<taints>\S*)$/ },
  module_free: { fields: ["name"], body: /^(?<name>[^\s=]+)$/ },
  module_get: MODULE_REFERENCE,
  module_put: MODULE_REFERENCE,
  module_request: {
    fields: ["ip", "wait", "name"],
    body: /^(?<name>[^\s=]+) wait=(?<wait>\d+) call_site=(?<ip>\S+)(?: \[\S+\])?$/,
  },
  workqueue_queue_work: {
    fields: ["work", "function", "workqueue", "req_cpu", "cpu"],
    body: /^work struct=(?<work>\S+) function=(?<function>\S+)(?: \[\S+\])? workqueue=(?<workqueue>.+) req_cpu=(?<req_cpu>-?\d+) cpu=(?<cpu>-?\d+)$/,
  },
  workqueue_activate_work: {
    fields: ["work", "function"],
    body: /^work struct (?<work>\S+)(?: function=(?<function>\S+)(?: \[\S+\])?)?$/,
  },
  workqueue_execute_start: {
    fields: ["work", "function"],
    body: /^work struct (?<work>\S+): function (?<function>\S+)(?: \[\S+\])?$/,
  },
  workqueue_execute_end: {
    fields: ["work", "function"],
    body: /^work struct (?<work>[^\s:]+)(?:: function (?<function>\S+)(?: \[\S+\])?)?$/,
  },
  sched_process_fork: {
    fields: ["parent_comm", "parent_pid", "child_comm", "child_pid"],
    body: /^comm=(?<parent_comm>.{0,64}) pid=(?<parent_pid>-?\d+) child_comm=(?<child_comm>.{0,64}) child_pid=(?<child_pid>-?\d+)$/,
  },
  sched_process_exit: {
    fields: ["comm", "pid", "prio", "group_dead"],
    body: /^comm=(?<comm>.{0,64}) pid=(?<pid>-?\d+) prio=(?<prio>-?\d+)(?: group_dead=(?<group_dead>\S+))?$/,
  },
  sched_process_exec: {
    fields: ["filename", "pid", "old_pid"],
    body: /^filename=(?<filename>.*) pid=(?<pid>-?\d+) old_pid=(?<old_pid>-?\d+)$/,
  },
};
const STRINGS = new Set("name workqueue parent_comm child_comm comm filename".split(" "));

/** Events that are free text, whatever `key=value` it may hold. */
const FREE_TEXT = new Set(["console", "bprint", "bputs"]);

/** `%p` prints 16 digits without 0x. */
const POINTER = /^[0-9a-f]{16}$/;

/** Fields of a tracepoint: those of its format where the text is known, else each `key=value` and the whole `body`. */
export function tracepointFields(name: string, body: string): Fields {
  // An event may be called `constructor`.
  const known = Object.hasOwn(KNOWN, name) ? KNOWN[name] : undefined;
  const groups = known?.body.exec(body)?.groups;
  if (known && groups) {
    const names = known.fields.filter((field) => groups[field] !== undefined);
    return { names, values: names.map((field) => tracepointValue(field, groups[field]!)) };
  }
  if (FREE_TEXT.has(name)) return { names: ["body"], values: [body] };
  const { names, texts } = name.startsWith("kvm_") && !body.includes("=") ? scanWords(body) : scanFields(body);
  const values = texts.map((text, index) => tracepointValue(names[index]!, text));
  // -R prints the format's own fields: nothing is missing from them.
  if (known && names.length > 0 && names.every((field) => known.fields.includes(field))) return { names, values };
  return { names: [...names, "body"], values: [...values, body] };
}

function tracepointValue(field: string, text: string): Value {
  if (STRINGS.has(field)) return text;
  return POINTER.test(text) ? hex(text) : toValue(text);
}

/** `vcpu 0 reason npf rip 0x1005`, only if the whole body is made of such pairs. */
function scanWords(body: string): { names: string[]; texts: string[] } {
  const words = body.split(" ");
  const names = words.filter((_, index) => index % 2 === 0);
  const paired = words.length % 2 === 0 && names.every((name) => /^[a-z_]\w*$/.test(name));
  if (!paired || new Set(names).size !== names.length) return { names: [], texts: [] };
  return { names, texts: words.filter((_, index) => index % 2 === 1) };
}

/** Text of a `print` event: trace-cmd prints the writer's symbol before it, with -R the fields by name. */
export function printText(name: string, body: string): string {
  return name === "print" ? body.replace(/^(?:ip=\S+ buf=|[^\s:]+: ?)/, "") : body;
}
