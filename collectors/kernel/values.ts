/**
 * What the registers hold at each instruction of a function, as far as its code alone tells: constants, arguments, sums,
 * and what is loaded through them. Two values of the same text are equal; nothing is guessed.
 */
import type { CodeFunction } from "./function.js";
import { ALL_REGISTERS, CALLER_SAVED, type Instruction, type RegisterName } from "./instructions.js";

/** `root + add`; a root of null is a constant. */
export interface RegisterValue {
  root: Root | null;
  add: number;
  /** Only the lower 32 bits are known to be these. */
  narrow: boolean;
}

export type Root =
  /** What a register held when the function was entered. */
  | { kind: "argument"; register: RegisterName; text: string }
  /** What was read from memory at `address`. */
  | { kind: "load"; address: RegisterValue; text: string }
  /** What a called function returned. */
  | { kind: "result"; function: string; text: string }
  /** Some value that has this one place of origin. */
  | { kind: "unknown"; text: string };

export type Registers = ReadonlyMap<RegisterName, RegisterValue>;

/** Calls that change no register: the tracer's own place in the function. */
const NO_CALLS: ReadonlySet<string> = new Set(["__fentry__", "__x86_return_thunk"]);

/** A block that is looked at again this often holds a circle: what its ways disagree about stays unknown. */
const PATIENCE = 40;

/** What arrives at a block's first instruction, by the way it comes: from the instruction of that index, or from outside. */
interface Head {
  ways: Map<number, Registers>;
  registers: Registers;
  visits: number;
}

/** Ways in that are no instruction of the function. */
const OUTSIDE = -1;

/** Registers before each instruction, in the order of `code`; unreachable ones know nothing. */
export function followValues(func: CodeFunction, code: readonly Instruction[]): Registers[] {
  const index = new Map(code.map((instruction, at) => [instruction.offset, at]));
  const starts = findBlocks(func, code, index);
  const before: (Registers | null)[] = code.map(() => null);
  const heads = new Map<number, Head>();
  const pending = new Set<number>();
  const reached = (at: number | undefined, way: number, registers: Registers) => {
    if (at === undefined) return;
    const head = heads.get(at) ?? { ways: new Map(), registers: new Map(), visits: 0 };
    head.ways.set(way, registers);
    head.visits++;
    const merged = merge(head, at);
    if (heads.has(at) && sameRegisters(merged, head.registers)) return;
    head.registers = merged;
    heads.set(at, head);
    pending.add(at);
  };
  // Code in a part of its own is entered from elsewhere, with whatever registers.
  const isPart = /\.(?:cold|part|isra|constprop)/.test(func.names[0] ?? "");
  reached(0, OUTSIDE, isPart ? unknownRegisters(0) : argumentRegisters());
  for (const offset of func.entries) {
    const at = index.get(offset);
    reached(at, OUTSIDE, unknownRegisters(at ?? 0));
  }
  for (let next = nextBlock(pending, before); next !== null; next = nextBlock(pending, before)) {
    pending.delete(next);
    if (!heads.has(next)) {
      reached(next, OUTSIDE, unknownRegisters(next));
      pending.delete(next);
    }
    runBlock(code, next, (heads.get(next) as Head).registers, starts, before, index, reached);
  }
  return before.map((registers, at) => registers ?? unknownRegisters(at));
}

/** A block to look at; when none waits, code that nothing was seen to lead to: the target of a computed jump. */
function nextBlock(pending: ReadonlySet<number>, before: readonly (Registers | null)[]): number | null {
  for (const at of pending) return at;
  const unreached = before.indexOf(null);
  return unreached < 0 ? null : unreached;
}

function findBlocks(func: CodeFunction, code: readonly Instruction[], index: ReadonlyMap<number, number>): Set<number> {
  const starts = new Set<number>([0]);
  for (const offset of [...func.entries, ...code.map(({ leadsTo }) => leadsTo)]) {
    const at = offset === null ? undefined : index.get(offset);
    if (at !== undefined) starts.add(at);
  }
  return starts;
}

function runBlock(
  code: readonly Instruction[],
  start: number,
  registers: Registers,
  starts: ReadonlySet<number>,
  before: (Registers | null)[],
  index: ReadonlyMap<number, number>,
  reached: (at: number | undefined, way: number, registers: Registers) => void,
): void {
  let now = registers;
  for (let at = start; at < code.length; at++) {
    if (at !== start && starts.has(at)) {
      reached(at, at - 1, now);
      return;
    }
    const instruction = code[at] as Instruction;
    before[at] = now;
    now = step(instruction, now);
    if (instruction.flow === "jump" || instruction.flow === "branch") {
      reached(instruction.leadsTo === null ? undefined : index.get(instruction.leadsTo), at, now);
    }
    if (instruction.flow === "jump" || instruction.flow === "end") return;
  }
}

/** Registers after one instruction. */
function step(instruction: Instruction, before: Registers): Registers {
  if (instruction.flow === "call") {
    if (instruction.calls !== null && NO_CALLS.has(instruction.calls)) return before;
    const after = new Map(before);
    for (const register of CALLER_SAVED) after.set(register, origin(instruction.offset, register));
    if (instruction.calls !== null) {
      const text = `${instruction.calls}()@${instruction.offset}`;
      after.set("ax", { root: { kind: "result", function: instruction.calls, text }, add: 0, narrow: false });
    }
    return after;
  }
  if (instruction.writes.length === 0) return before;
  const after = new Map(before);
  for (const register of instruction.writes) after.set(register, origin(instruction.offset, register));
  const { target } = instruction;
  if (target !== null && target.size >= 4 && instruction.writes.includes(target.register)) {
    const value = computed(instruction, before);
    if (value !== null) after.set(target.register, target.size === 4 ? narrowed(value) : value);
  }
  return after;
}

/** The value that an instruction leaves in its first operand; null when that is not followed. */
function computed(
  { operation, target, source, memory, memoryFirst }: Instruction,
  before: Registers,
): RegisterValue | null {
  if (target === null) return null;
  const own = before.get(target.register) ?? null;
  const other =
    source === null
      ? null
      : "immediate" in source
        ? constant(source.immediate)
        : widthOf(before.get(source.register) ?? null, source.size);
  switch (operation) {
    case "mov":
      return memory !== null && !memoryFirst ? loaded(memory, before) : other;
    case "lea": {
      const base = memory === null ? null : before.get(memory.base);
      return base === undefined || base === null || memory === null ? null : sum(base, memory.displacement);
    }
    case "add":
      return own !== null && other?.root === null ? sum(widthOf(own, target.size) as RegisterValue, other.add) : null;
    case "sub":
      return own !== null && other?.root === null ? sum(widthOf(own, target.size) as RegisterValue, -other.add) : null;
    case "inc":
      return own === null ? null : sum(widthOf(own, target.size) as RegisterValue, 1);
    case "dec":
      return own === null ? null : sum(widthOf(own, target.size) as RegisterValue, -1);
    case "or":
      return other?.root === null && other.add === -1 ? constant(-1) : null;
    case "xor":
      return source !== null && "register" in source && source.register === target.register ? constant(0) : null;
    case "neg":
      return own?.root === null ? constant(-own.add) : null;
    default:
      return null;
  }
}

function loaded(memory: NonNullable<Instruction["memory"]>, before: Registers): RegisterValue | null {
  const base = before.get(memory.base);
  // What lies on the stack changes with every call and push.
  if (base === undefined || memory.base === "sp" || memory.size < 4) return null;
  const address = sum(base, memory.displacement);
  const text = `[${textOf(address)}]${memory.size}`;
  // A circle of loads in a loop would never end.
  if (text.length > 200) return null;
  return { root: { kind: "load", address, text }, add: 0, narrow: false };
}

function origin(offset: number, register: RegisterName): RegisterValue {
  return { root: { kind: "unknown", text: `${register}@${offset}` }, add: 0, narrow: false };
}

function argumentRegisters(): Registers {
  return new Map(
    ALL_REGISTERS.map((register) => [
      register,
      { root: { kind: "argument", register, text: register }, add: 0, narrow: false },
    ]),
  );
}

function unknownRegisters(at: number): Registers {
  return new Map(ALL_REGISTERS.map((register) => [register, joined(at, register)]));
}

/** The value of a register where several ways meet. */
function joined(at: number, register: RegisterName): RegisterValue {
  return { root: { kind: "unknown", text: `${register}~${at}` }, add: 0, narrow: false };
}

/**
 * What all ways into a block agree about. A way that brings the block's own unknown value round a loop has not changed
 * it, and so does not count.
 */
function merge({ ways, registers, visits }: Head, at: number): Registers {
  const [first, ...others] = ways.values();
  if (others.length === 0) return first as Registers;
  const merged = new Map<RegisterName, RegisterValue>();
  for (const register of ALL_REGISTERS) {
    const own = joined(at, register);
    let value: RegisterValue | null = null;
    let agree = true;
    for (const way of ways.values()) {
      const brought = way.get(register) as RegisterValue;
      if (sameValue(brought, own)) continue;
      value ??= brought;
      agree &&= sameValue(brought, value);
    }
    const given = visits > PATIENCE && sameValue(registers.get(register) ?? own, own);
    merged.set(register, value !== null && agree && !given ? value : own);
  }
  return merged;
}

function sameRegisters(a: Registers, b: Registers): boolean {
  return ALL_REGISTERS.every((register) =>
    sameValue(a.get(register) as RegisterValue, b.get(register) as RegisterValue),
  );
}

export function constant(value: number): RegisterValue {
  return { root: null, add: value, narrow: false };
}

function sum(value: RegisterValue, add: number): RegisterValue {
  return add === 0 ? value : { ...value, add: value.add + add };
}

function narrowed(value: RegisterValue): RegisterValue {
  if (value.root === null) return constant(value.add | 0);
  // A load of 4 bytes is whole already.
  if (value.root.kind === "load" && value.root.text.endsWith("4")) return value;
  return value.narrow ? value : { ...value, narrow: true };
}

function widthOf(value: RegisterValue | null, size: number): RegisterValue | null {
  return value === null || size > 4 ? value : size === 4 ? narrowed(value) : null;
}

export function sameValue(a: RegisterValue, b: RegisterValue): boolean {
  return a.add === b.add && a.narrow === b.narrow && a.root?.text === b.root?.text;
}

export function textOf({ root, add, narrow }: RegisterValue): string {
  return `${root?.text ?? ""}+${add}${narrow ? "n" : ""}`;
}
