/**
 * The same recording as other people would have printed it: by other tools, with names, numbers and choices of their
 * own. The shapes are those of recordings under `fixtures/`; here only what varies from person to person is made up.
 */
import type { Catalog } from "../../collectors/catalog/catalog.js";
import type { Effect } from "../../collectors/catalog/schema.js";
import { withoutCloneSuffix } from "../decode/interpret.js";
import type { TraceEvent, TraceItem, Value } from "../import/trace-event.js";
import { chances } from "./forgetful.js";

export interface Habit {
  form: keyof typeof FORMS;
  /** How addresses and numbers are printed; results always whole. */
  numbers: keyof typeof NUMBERS;
  /** What arguments are called. */
  arguments: "named" | "from 1" | "from 0" | "letters" | "registers";
  /** What probes are called. */
  names: "automatic" | "function" | "own" | "one for all";
  result: string;
  /** What the counter's value is called; null for who does not record it. */
  counter: string | null;
  /** What is read in its place: a field at a wrong offset. */
  instead: bigint | null;
  delta: string;
  /** Probes on functions with one of these effects; null for all. */
  only: Effect[] | null;
  /** Shares of the return probes and of the probes inside functions that are there. */
  returns: number;
  inside: number;
  tracepoints: boolean;
  /** The file holds the same text once more. */
  twice: boolean;
  /** Which ones are left out. */
  seed: number;
}

interface Told {
  event: TraceEvent;
  kind: "entry" | "return" | "inside" | "tracepoint";
  function: string;
  name: string;
  values: string;
  /** The values alone. */
  bare: string;
}

/** The text that somebody of this habit has; null where it is empty. */
export function retell(items: readonly TraceItem[], habit: Habit, catalog: Catalog): string | null {
  const isLeft = shares(habit, catalog);
  const print = FORMS[habit.form];
  const lines = items.flatMap((item) => {
    const told = item.kind === "event" && item.probe.kind !== "print" ? tell(item, habit) : null;
    return told === null || !isLeft(told) ? [] : print(told);
  });
  const text = lines.map((line) => `${line}\n`).join("");
  return text === "" ? null : `${HEADS[habit.form]}${text}${habit.twice ? text : ""}`;
}

/** Which probes this person has. */
function shares(habit: Habit, catalog: Catalog): (told: Told) => boolean {
  const chance = chances(habit.seed);
  const known = new Map<string, boolean>();
  return ({ kind, function: name, event: { probe } }) => {
    if (kind === "tracepoint") return habit.tracepoints;
    const key = `${kind} ${name} ${probe.at?.offset}`;
    const left = known.get(key) ?? isChosen(kind, name, habit, catalog, chance());
    known.set(key, left);
    return left;
  };
}

function isChosen(kind: Told["kind"], name: string, habit: Habit, catalog: Catalog, chance: number): boolean {
  if (kind === "inside") return chance < habit.inside;
  const meanings = catalog.functions.get(name)?.meanings ?? [];
  const isMeant =
    habit.only === null ||
    meanings.some(({ entry }) => entry.effects.some(({ effect }) => habit.only?.includes(effect) === true));
  return isMeant && (kind === "entry" || chance < habit.returns);
}

function tell(event: TraceEvent, habit: Habit): Told | null {
  const { probe } = event;
  if (probe.kind === "tracepoint") {
    const values = tracepointBody(event);
    return { event, kind: "tracepoint", function: probe.name, name: probe.name, values, bare: values };
  }
  if (probe.at?.symbol == null) return null;
  const { offset } = probe.at;
  const kind = probe.kind === "kretprobe" ? "return" : offset === 0 || offset === 4 ? "entry" : "inside";
  const name = withoutCloneSuffix(probe.at.symbol);
  const fields = fieldsOf(event, kind, habit);
  return {
    event,
    kind,
    function: name,
    name: nameOf(kind, name, offset ?? 0, habit),
    values: fields.map(([word, text]) => `${word}=${text}`).join(" "),
    bare: fields.map(([, text]) => text).join(" "),
  };
}

const LETTERS = "abcdefgh";
const REGISTERS = ["di", "si", "dx", "cx", "r8", "r9"];

function fieldsOf({ probe, args }: TraceEvent, kind: Told["kind"], habit: Habit): [string, string][] {
  let place = 0;
  return probe.fields.flatMap((field, index): [string, string][] => {
    const value = args[index] ?? null;
    if (kind === "return") return index === 0 ? [[habit.result, NUMBERS.signed(value)]] : [];
    if (field === "delta") return [[habit.delta, NUMBERS.signed(value)]];
    if (field === "refs")
      return habit.counter === null ? [] : [[habit.counter, NUMBERS.signed(habit.instead ?? value)]];
    return [[wordFor(field, place++, habit), NUMBERS[habit.numbers](value)]];
  });
}

function wordFor(field: string, place: number, habit: Habit): string {
  switch (habit.arguments) {
    case "named":
      return field;
    case "from 1":
      return `arg${place + 1}`;
    case "from 0":
      return `arg${place}`;
    case "letters":
      return LETTERS[place % LETTERS.length]!;
    case "registers":
      return REGISTERS[place % REGISTERS.length]!;
  }
}

function nameOf(kind: Told["kind"], name: string, offset: number, { names }: Habit): string {
  const isReturn = kind === "return";
  switch (names) {
    case "automatic":
      return `${isReturn ? "r" : "p"}_${name}_${kind === "inside" ? offset : 0}`;
    case "function":
      return `${name}${isReturn ? "_ret" : kind === "inside" ? `_${offset.toString(16)}` : ""}`;
    case "own":
      return `my_${name}${isReturn ? "_exit" : ""}`;
    case "one for all":
      return isReturn ? "myretprobe" : "myprobe";
  }
}

const whole = (value: bigint) => BigInt.asUintN(64, value);
const isAddress = (value: bigint) => whole(value) >= 0xff00_0000_0000_0000n && whole(value) < 0xffff_ffff_ffff_f000n;
const number = (print: (value: bigint) => string) => (value: Value) =>
  typeof value === "bigint" ? print(value) : value === null ? "(fault)" : `"${value}"`;

const NUMBERS = {
  hex: number((value) => `0x${whole(value).toString(16)}`),
  bare: number((value) => whole(value).toString(16)),
  decimal: number((value) => String(whole(value))),
  signed: number((value) => String(BigInt.asIntN(64, value))),
  padded: number((value) => `0x${whole(value).toString(16).padStart(16, "0")}`),
  lower: number((value) => `0x${BigInt.asUintN(32, value).toString(16)}`),
  // What %p prints: 32 bits, the same for the same address.
  hashed: number((value) => {
    if (!isAddress(value)) return `0x${whole(value).toString(16)}`;
    return BigInt.asUintN(32, (value * 0x9e3779b97f4a7c15n) >> 17n)
      .toString(16)
      .padStart(16, "0");
  }),
};

function tracepointBody({ probe, args }: TraceEvent): string {
  const fields = new Map(probe.fields.map((name, index) => [name, args[index] ?? null]));
  const text = (name: string) => {
    const value = fields.get(name) ?? "";
    return typeof value === "bigint" && value > 0xffffn ? `0x${value.toString(16)}` : String(value);
  };
  switch (probe.name) {
    case "console":
      return text("msg");
    case "module_load":
    case "module_free":
      return text("name");
    case "module_get":
    case "module_put":
      return `${text("name")} call_site=${text("ip")} refcnt=${text("refcnt")}`;
    default:
      return probe.fields.map((name) => `${name}=${text(name)}`).join(" ");
  }
}

const hex = (value: bigint | null | undefined) => (value ?? 0n).toString(16);

function symbolic({ event, kind, function: name }: Told): string {
  const { at } = event.probe;
  const module = at?.module == null ? "" : ` [${at.module}]`;
  if (kind !== "return") return `(${at?.symbol}+0x${(at?.offset ?? 0).toString(16)}/0x1000${module})`;
  const to = event.returnsTo;
  return `(${to?.symbol == null ? `0x${hex(to?.address)}` : `${to.symbol}+0x${(to.offset ?? 0).toString(16)}/0x2000`} <- ${name})`;
}

function numeric({ event, kind }: Told): string {
  const at = hex(event.probe.at?.address);
  return kind === "return" ? `(${at} <- ${hex(event.returnsTo?.address)})` : `(${at})`;
}

function micros(time: bigint): string {
  return `${time / 1_000_000_000n}.${String((time / 1000n) % 1_000_000n).padStart(6, "0")}`;
}

const ATTACHED = "Attaching 12 probes...\n";
const HEADS = {
  ftrace: "# tracer: nop\n#\n",
  report: "cpus=2\n",
  perf: "",
  keys: ATTACHED,
  columns: ATTACHED,
  words: ATTACHED,
};

/** A line of each event; none where the tool has none. */
const FORMS = {
  /** `cat trace` */
  ftrace: (told: Told): string[] => {
    const { comm, tid, cpu, time } = told.event;
    const body = told.kind === "tracepoint" ? told.values : `${symbolic(told)} ${told.values}`;
    return [
      `${(comm || "<...>").padStart(16)}-${String(tid).padEnd(7)} [${String(cpu).padStart(3, "0")}] ..... ${micros(time)}: ${told.name}: ${body}`,
    ];
  },
  /** `trace-cmd report`, without stacks */
  report: (told: Told): string[] => {
    const { comm, tid, cpu, time } = told.event;
    const body = told.kind === "tracepoint" ? told.values : `${numeric(told)} ${told.values}`;
    return [
      `${(comm || "<...>").padStart(16)}-${String(tid).padEnd(5)} [${String(cpu).padStart(3, "0")}] ${micros(time).padStart(13)}: ${`${told.name}:`.padEnd(21)} ${body}`,
    ];
  },
  /** `perf script` of `perf probe`'s own names */
  perf: (told: Told): string[] => {
    const { comm, tid, cpu, time, probe } = told.event;
    const ending = { return: "__return", inside: "_1", entry: "", tracepoint: "" }[told.kind];
    const name = told.kind === "tracepoint" ? `${probe.system}:${probe.name}` : `probe:${told.function}${ending}`;
    const body = told.kind === "tracepoint" ? told.values : `${numeric(told)} ${told.values}`;
    return [
      `${(comm || "<...>").padStart(16)} ${String(tid).padStart(5)} [${String(cpu).padStart(3, "0")}] ${micros(time).padStart(13)}: ${name.padStart(34)}: ${body}`,
    ];
  },
  /** A bpftrace program that prints `key=value` */
  keys: (told: Told): string[] => {
    if (told.kind === "tracepoint" || told.kind === "inside") return [];
    const { comm, tid, cpu, time } = told.event;
    const type = told.kind === "return" ? "kretprobe:" : "";
    return [`time=${time} cpu=${cpu} tid=${tid} comm=${comm} func=${type}${told.function} ${told.values}`];
  },
  /** One that prints columns, with probe, and values alone */
  columns: (told: Told): string[] => {
    if (told.kind === "tracepoint" || told.kind === "inside") return [];
    const { comm, tid, cpu, time } = told.event;
    return [
      `${time} ${cpu} ${comm} ${tid} ${told.kind === "return" ? "kretprobe" : "kprobe"}:${told.function} ${told.bare}`,
    ];
  },
  /** A one-liner: `printf("%s %d %s %llx\n", comm, tid, func, arg0)`, returns no other */
  words: (told: Told): string[] => {
    if (told.kind === "tracepoint" || told.kind === "inside") return [];
    return [`${told.event.comm} ${told.event.tid} ${told.function} ${told.bare}`];
  },
};
