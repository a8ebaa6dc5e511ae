/** Every operation on a 32-bit counter in a function's code: locked instructions, and calls of the kernel's helpers. */
import type { CodeFunction } from "./function.js";
import { decodeFunction, type Instruction, type RegisterName } from "./instructions.js";
import { followValues, type Registers, type RegisterValue, sameValue } from "./values.js";

export interface CounterOperation {
  /** Where a probe sees it: bytes from the function's start. */
  offset: number;
  /** The instruction there, in hex. */
  bytes: string;
  /** Where the counter is. */
  address: RegisterValue;
  /** The instruction's own operand: the counter is `displacement` bytes from a register. Null in calls. */
  operand: { register: RegisterName; displacement: number } | null;
  /** What is added: a number where the code alone tells; else the register that holds it. */
  delta: number | null;
  deltaRegister: RegisterName | null;
  /** Register with the value before the operation; null: it is still in memory. */
  before: RegisterName | null;
  /** A compare-and-exchange that cannot be seen to have succeeded. */
  conditional: boolean;
  /** Next function that is called after it; null where the code ends or branches away first. */
  next: string | null;
  /** Registers where the probe is. */
  registers: Registers;
}

/** Functions of the kernel that take one reference off the counter that their first argument points to. */
export const DECREMENTS: ReadonlySet<string> = new Set([
  "refcount_dec_and_mutex_lock",
  "refcount_dec_and_lock",
  "refcount_dec_and_lock_irqsave",
  "atomic_dec_and_mutex_lock",
  "_atomic_dec_and_lock",
  "_atomic_dec_and_lock_irqsave",
]);

/** Calls that say nothing about what the code is doing. */
const PLUMBING =
  /^(?:__fentry__|__x86_|__stack_chk_fail|refcount_warn_saturate|__warn|_printk|printk|mutex_|__mutex_|_raw_|__SCT__|__get_user|__put_user|__check_object_size|_copy_(?:from|to)_user|__fortify)/;

/** `lock`, a REX prefix that leaves it at 32 bits, and an operation that adds or exchanges: else no need to decode. */
const LOCKED = /\xf0[\x40-\x47]?(?:\x0f[\xb1\xc1]|[\x01\x29\x81\x83\xff])/;

export function findOperations(func: CodeFunction): CounterOperation[] {
  const calls = [...func.links.values()].some((name) => DECREMENTS.has(name));
  if (!calls && !LOCKED.test(func.bytes.toString("latin1"))) return [];
  const code = decodeFunction(func);
  const registers = followValues(func, code);
  return code.flatMap((_, at) => {
    const found = operationAt(func, code, registers, at);
    return found === null ? [] : [found];
  });
}

function operationAt(
  func: CodeFunction,
  code: readonly Instruction[],
  all: readonly Registers[],
  at: number,
): CounterOperation | null {
  const instruction = code[at] as Instruction;
  const registers = all[at] as Registers;
  const place = () => ({ ...probePoint(func, code, at), registers, before: null, conditional: false });
  if (instruction.calls !== null && DECREMENTS.has(instruction.calls)) {
    const address = registers.get("di") as RegisterValue;
    return { ...place(), address, operand: null, delta: -1, deltaRegister: null };
  }
  const { memory } = instruction;
  if (!instruction.lock || memory === null || memory.size !== 4) return null;
  const base = registers.get(memory.base) as RegisterValue;
  const counter = {
    address: { ...base, add: base.add + memory.displacement },
    operand: { register: memory.base, displacement: memory.displacement },
  };
  if (instruction.operation === "cmpxchg") return exchange(func, code, all, at, counter);
  const change = changeOf(instruction, registers);
  return change === null ? null : { ...place(), ...counter, ...change };
}

function probePoint(
  func: CodeFunction,
  code: readonly Instruction[],
  at: number,
): Pick<CounterOperation, "offset" | "bytes" | "next"> {
  const { offset, length } = code[at] as Instruction;
  return { offset, bytes: func.bytes.toString("hex", offset, offset + length), next: nextCall(code, at) };
}

/** What a locked instruction adds; null when it is no addition. */
function changeOf(
  { operation, source }: Instruction,
  registers: Registers,
): Pick<CounterOperation, "delta" | "deltaRegister"> | null {
  if (operation === "inc" || operation === "dec") return { delta: operation === "inc" ? 1 : -1, deltaRegister: null };
  if (operation !== "xadd" && operation !== "add" && operation !== "sub") return null;
  if (source === null) return null;
  const sign = operation === "sub" ? -1 : 1;
  if ("immediate" in source) return { delta: sign * source.immediate, deltaRegister: null };
  const value = registers.get(source.register);
  const delta = value?.root === null ? sign * (value.add | 0) : null;
  // A register that is subtracted cannot be recorded with its sign.
  if (delta === null && sign < 0) return null;
  return { delta, deltaRegister: sign > 0 ? source.register : null };
}

function exchange(
  func: CodeFunction,
  code: readonly Instruction[],
  all: readonly Registers[],
  at: number,
  counter: Pick<CounterOperation, "address" | "operand">,
): CounterOperation | null {
  const { source } = code[at] as Instruction;
  const registers = all[at] as Registers;
  const expected = registers.get("ax") as RegisterValue;
  if (source === null || !("register" in source)) return null;
  const wanted = registers.get(source.register) as RegisterValue;
  // Only an addition to what was there: other exchanges are flags or locks.
  if (expected.root === null || wanted.root?.text !== expected.root.text) return null;
  const delta = wanted.add - expected.add;
  const common = { ...counter, delta, deltaRegister: null, before: "ax" };
  const success = successOf(func, code, all, at, expected);
  if (success === null) return { ...common, ...probePoint(func, code, at), registers, before: null, conditional: true };
  return {
    ...common,
    ...probePoint(func, code, success),
    // The exchange leaves what it expected in ax when it succeeds.
    registers: new Map(all[success]).set("ax", expected),
    conditional: false,
  };
}

/** The instruction that runs only when the exchange has succeeded, with ax as the exchange left it; null for none. */
function successOf(
  func: CodeFunction,
  code: readonly Instruction[],
  all: readonly Registers[],
  at: number,
  expected: RegisterValue,
): number | null {
  for (let branch = at + 1; branch < Math.min(at + 6, code.length); branch++) {
    const instruction = code[branch] as Instruction;
    if (instruction.flow === "branch" && instruction.ifZero !== null) {
      const success = instruction.ifZero ? indexAt(code, instruction.leadsTo) : branch + 1;
      return success !== null && hasOneWay(func, code, success) ? success : null;
    }
    const comparesExpected =
      instruction.operation === "cmp" && comparesWithAx(instruction, all[branch] as Registers, expected);
    const keepsFlags = ["mov", "lea", "set"].includes(instruction.operation);
    if (instruction.flow !== "next" || instruction.writes.includes("ax") || !(keepsFlags || comparesExpected))
      return null;
  }
  return null;
}

/** `cmp` of what the exchange found with what it expected. */
function comparesWithAx({ target, source }: Instruction, registers: Registers, expected: RegisterValue): boolean {
  if (target === null || source === null || !("register" in source)) return false;
  const other = target.register === "ax" ? source.register : source.register === "ax" ? target.register : null;
  const value = other === null ? undefined : registers.get(other);
  return value !== undefined && sameValue({ ...value, narrow: false }, { ...expected, narrow: false });
}

function indexAt(code: readonly Instruction[], offset: number | null): number | null {
  const at = code.findIndex((instruction) => instruction.offset === offset);
  return at < 0 ? null : at;
}

/** Whether a single way leads to an instruction. */
function hasOneWay(func: CodeFunction, code: readonly Instruction[], at: number): boolean {
  const instruction = code[at];
  if (instruction === undefined || func.entries.has(instruction.offset)) return false;
  let ways = 0;
  for (const [index, other] of code.entries()) {
    if (index === at - 1 && other.flow !== "jump" && other.flow !== "end") ways++;
    if (other.leadsTo === instruction.offset && other.flow !== "call") ways++;
  }
  return ways === 1;
}

/** What a function calls next, read straight on from an instruction through jumps. */
function nextCall(code: readonly Instruction[], from: number): string | null {
  let at = from + 1;
  for (let steps = 0; steps < 100; steps++) {
    const instruction = code[at];
    if (instruction === undefined || instruction.flow === "end") return null;
    if (instruction.calls !== null && !PLUMBING.test(instruction.calls)) {
      if (instruction.flow !== "branch") return instruction.calls;
    }
    if (instruction.flow === "jump") {
      const target = indexAt(code, instruction.leadsTo);
      if (target === null) return null;
      at = target;
    } else at++;
  }
  return null;
}
