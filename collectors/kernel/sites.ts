/** Which of a function's counter operations are on a certain struct's counter, and how a probe records them. */
import type { Btf } from "./btf.js";
import { fetchValue, memoryAt } from "./fetch.js";
import { type CodeFunction, sourceName } from "./function.js";
import { ARGUMENT_REGISTERS } from "./instructions.js";
import type { CounterOperation } from "./operations.js";
import type { RegisterValue } from "./values.js";

export interface Counter {
  struct: string;
  /** Bytes from the struct's start. */
  offset: number;
}

export interface Site {
  operation: CounterOperation;
  effect: "get" | "put";
  /** Fetch expressions for the object, the counter before the operation, and what is added. */
  object: string;
  refs: string;
  delta: string;
}

/**
 * How sure it is that an operation is on the struct's counter: its type says so, or says that it is another's, or only
 * the offset fits.
 */
export type Match = "typed" | "offset" | "other";

/** Whether an operation is on `counter`. */
export function matchCounter(
  operation: CounterOperation,
  counter: Counter,
  func: CodeFunction,
  btf: Btf | null,
): Match {
  const object = objectOf(operation, counter);
  if (object === null) return "other";
  const type = btf === null ? null : pointedStruct(object, func, btf);
  if (type !== null) return type === counter.struct ? "typed" : "other";
  return "offset";
}

/** The probe on an operation that is known to be on `counter`; null when the registers there do not tell the object. */
export function describeSite(operation: CounterOperation, counter: Counter): Site | null {
  const value = objectOf(operation, counter);
  const object = value === null ? null : fetchObject(operation, counter, value);
  const { delta, deltaRegister } = operation;
  if (object === null || (delta === null && deltaRegister === null) || delta === 0) return null;
  return {
    operation,
    effect: delta === null || delta > 0 ? "get" : "put",
    object,
    refs: operation.before === null ? counterFetch(operation, counter, object) : `%${operation.before}`,
    delta: deltaRegister === null ? `\\${delta}` : `%${deltaRegister}`,
  };
}

/** The struct's own address: where its counter is, less the counter's offset. */
function objectOf({ address, operand }: CounterOperation, counter: Counter): RegisterValue | null {
  const object = { ...address, add: address.add - counter.offset };
  // The operand itself may name the offset from a pointer into the middle of something larger.
  const direct = operand !== null && operand.displacement === counter.offset && counter.offset !== 0;
  return object.add === 0 || direct ? object : null;
}

function fetchObject(operation: CounterOperation, counter: Counter, value: RegisterValue): string | null {
  const { operand } = operation;
  // At the instruction itself its own base register is the object.
  if (operand !== null && operation.before === null && operand.displacement === counter.offset)
    return `%${operand.register}`;
  return fetchValue(value, operation.registers);
}

function counterFetch({ operand }: CounterOperation, counter: Counter, object: string): string {
  return operand === null ? memoryAt(counter.offset, object) : memoryAt(operand.displacement, `%${operand.register}`);
}

/** The struct that a value points to, as far as prototypes and fields tell. */
function pointedStruct(value: RegisterValue, func: CodeFunction, btf: Btf): string | null {
  const { root } = value;
  if (root === null || value.add !== 0 || value.narrow) return null;
  switch (root.kind) {
    case "argument": {
      const name = func.names[0] ?? "";
      const index = ARGUMENT_REGISTERS.indexOf(root.register);
      if (index < 0 || sourceName(name) !== name) return null;
      return structBehind(btf.prototype(name)?.parameters[index]?.type);
    }
    case "result":
      return structBehind(btf.prototype(root.function)?.returns);
    case "load": {
      const inside = pointedStruct({ ...root.address, add: 0 }, func, btf);
      return inside === null ? null : btf.pointerAt(inside, root.address.add);
    }
    default:
      return null;
  }
}

function structBehind(
  type: { kind: string; target: { kind: string; name: string | null } | null } | undefined,
): string | null {
  return type?.kind === "pointer" && type.target?.kind === "struct" ? type.target.name : null;
}
