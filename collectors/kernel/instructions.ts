/** x86-64 code as the site search sees it: what an instruction writes, touches in memory and where it leads. */
import iced from "iced-x86";
import type { CodeFunction } from "./function.js";

const {
  Decoder,
  DecoderOptions,
  FlowControl,
  InstructionInfoFactory,
  Mnemonic,
  OpAccess,
  OpKind,
  RegisterExt,
  Register,
} = iced;

/** General registers by the names that ftrace and bpftrace use for them. */
const REGISTER_NAMES = [
  "ax",
  "cx",
  "dx",
  "bx",
  "sp",
  "bp",
  "si",
  "di",
  "r8",
  "r9",
  "r10",
  "r11",
  "r12",
  "r13",
  "r14",
  "r15",
];

export type RegisterName = string;

/** Registers that a called function may change (System V ABI). */
export const CALLER_SAVED: readonly RegisterName[] = ["ax", "cx", "dx", "si", "di", "r8", "r9", "r10", "r11"];

/** Registers of the first six arguments. */
export const ARGUMENT_REGISTERS: readonly RegisterName[] = ["di", "si", "dx", "cx", "r8", "r9"];

export const ALL_REGISTERS: readonly RegisterName[] = REGISTER_NAMES;

export interface MemoryOperand {
  base: RegisterName;
  displacement: number;
  /** Bytes. */
  size: number;
}

export interface Instruction {
  /** Bytes from the function's start. */
  offset: number;
  length: number;
  operation:
    | "mov"
    | "lea"
    | "add"
    | "sub"
    | "or"
    | "xor"
    | "neg"
    | "inc"
    | "dec"
    | "xadd"
    | "cmpxchg"
    | "cmp"
    | "set"
    | "other";
  lock: boolean;
  /** First operand as a register, with its width in bytes; null when it is none. */
  target: { register: RegisterName; size: number } | null;
  /** Second operand (first of one-operand instructions is `target`). */
  source: { register: RegisterName; size: number } | { immediate: number } | null;
  /** The memory operand: base and displacement only; null when there is none, or another form. */
  memory: MemoryOperand | null;
  /** Whether the memory operand is the first one, which is written. */
  memoryFirst: boolean;
  writes: readonly RegisterName[];
  flow: "next" | "jump" | "branch" | "call" | "end";
  /** `branch` taken when the zero flag is set, or when it is not; null for other conditions. */
  ifZero: boolean | null;
  /** Offset that a jump or branch leads to; may lie outside of the function. Null when it is not known. */
  leadsTo: number | null;
  /** Function that a call or jump leads to, by name; null when it is not known or none. */
  calls: string | null;
}

const SIMPLE: ReadonlyMap<number, Instruction["operation"]> = new Map([
  [Mnemonic.Mov, "mov"],
  [Mnemonic.Lea, "lea"],
  [Mnemonic.Add, "add"],
  [Mnemonic.Sub, "sub"],
  [Mnemonic.Or, "or"],
  [Mnemonic.Xor, "xor"],
  [Mnemonic.Neg, "neg"],
  [Mnemonic.Inc, "inc"],
  [Mnemonic.Dec, "dec"],
  [Mnemonic.Xadd, "xadd"],
  [Mnemonic.Cmpxchg, "cmpxchg"],
  [Mnemonic.Cmp, "cmp"],
  [Mnemonic.Sete, "set"],
  [Mnemonic.Setne, "set"],
]);

/** Decodes a function in the order of its bytes; stops where they are no code. */
export function decodeFunction(code: CodeFunction): Instruction[] {
  const decoder = new Decoder(64, code.bytes, DecoderOptions.None);
  const factory = new InstructionInfoFactory();
  const raw = new iced.Instruction();
  const decoded: Instruction[] = [];
  try {
    while (decoder.canDecode) {
      decoder.decodeOut(raw);
      if (raw.mnemonic === Mnemonic.INVALID) break;
      decoded.push(describe(raw, factory, code));
    }
  } finally {
    raw.free();
    factory.free();
    decoder.free();
  }
  return decoded;
}

function describe(raw: iced.Instruction, factory: iced.InstructionInfoFactory, code: CodeFunction): Instruction {
  const { length } = raw;
  const offset = Number(raw.nextIP) - length;
  const operands = raw.opCount;
  const memoryFirst = operands > 0 && raw.opKind(0) === OpKind.Memory;
  const memory = memoryFirst || (operands > 1 && raw.opKind(1) === OpKind.Memory) ? memoryOperand(raw) : null;
  const flow = flowOf(raw.flowControl);
  const condition = raw.conditionCode;
  const near = flow !== "next" && flow !== "end" && operands > 0 && raw.opKind(0) === OpKind.NearBranch64;
  const link = near ? linkAt(code, offset, length) : null;
  const leadsTo = near && link === null ? Number(BigInt.asIntN(64, raw.nearBranchTarget)) : null;
  return {
    offset,
    length,
    operation: SIMPLE.get(raw.mnemonic) ?? "other",
    lock: raw.hasLockPrefix,
    target: operands > 0 ? registerOperand(raw, 0) : null,
    source: operands > 1 ? (registerOperand(raw, 1) ?? immediateOperand(raw, 1)) : null,
    memory,
    memoryFirst,
    writes: writtenRegisters(raw, factory),
    flow,
    ifZero: condition === iced.ConditionCode.e ? true : condition === iced.ConditionCode.ne ? false : null,
    leadsTo,
    calls: link ?? (leadsTo === null ? null : code.nameAt(code.start + leadsTo)),
  };
}

/** The symbol of a relocation in the instruction's last 4 bytes. */
function linkAt(code: CodeFunction, offset: number, length: number): string | null {
  return code.links.get(offset + length - 4) ?? null;
}

function flowOf(flow: iced.FlowControl): Instruction["flow"] {
  switch (flow) {
    case FlowControl.Next:
      return "next";
    case FlowControl.UnconditionalBranch:
      return "jump";
    case FlowControl.ConditionalBranch:
      return "branch";
    case FlowControl.Call:
    case FlowControl.IndirectCall:
      return "call";
    case FlowControl.Exception:
      // ud2 warns and goes on. int3 (Interrupt) pads behind what never does.
      return "next";
    default:
      return "end";
  }
}

function nameOf(register: iced.Register): RegisterName | null {
  const full = RegisterExt.fullRegister(register);
  return full >= Register.RAX && full <= Register.R15 ? (REGISTER_NAMES[full - Register.RAX] as string) : null;
}

function registerOperand(raw: iced.Instruction, index: number): { register: RegisterName; size: number } | null {
  if (raw.opKind(index) !== OpKind.Register) return null;
  const register = nameOf(raw.opRegister(index));
  return register === null ? null : { register, size: RegisterExt.size(raw.opRegister(index)) };
}

function immediateOperand(raw: iced.Instruction, index: number): { immediate: number } | null {
  const kind = raw.opKind(index);
  if (kind < OpKind.Immediate8 || kind > OpKind.Immediate32to64) return null;
  return { immediate: Number(BigInt.asIntN(64, raw.immediate(index))) };
}

function memoryOperand(raw: iced.Instruction): MemoryOperand | null {
  const base = nameOf(raw.memoryBase);
  if (base === null || raw.memoryIndex !== Register.None || raw.memorySegment === Register.GS) return null;
  return {
    base,
    displacement: Number(BigInt.asIntN(64, raw.memoryDisplacement)),
    size: iced.MemorySizeExt.size(raw.memorySize),
  };
}

function writtenRegisters(raw: iced.Instruction, factory: iced.InstructionInfoFactory): RegisterName[] {
  const info = factory.info(raw);
  const written = new Set<RegisterName>();
  for (const used of info.usedRegisters() as iced.UsedRegister[]) {
    if (used.access !== OpAccess.Read && used.access !== OpAccess.CondRead && used.access !== OpAccess.None) {
      const name = nameOf(used.register);
      if (name !== null) written.add(name);
    }
    used.free();
  }
  info.free();
  return [...written];
}
