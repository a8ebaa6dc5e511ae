/** How ftrace can read a value at a probe: expressions of Documentation/trace/kprobetrace.rst. */
import type { Registers, RegisterValue } from "./values.js";

/** Pointers that are followed at most; deeper ones are likely no way that the source takes. */
const DEEPEST = 3;

/** `+0x1a38(%bx)`: memory at an offset in bytes from what an expression gives. */
export function memoryAt(offset: number, of: string): string {
  return `${offset < 0 ? "-" : "+"}0x${Math.abs(offset).toString(16)}(${of})`;
}

/** A fetch expression for a value, by the registers at the probe; null when they do not tell it. */
export function fetchValue(value: RegisterValue, registers: Registers, depth = 0): string | null {
  for (const [register, held] of registers) {
    if (held.root?.text === value.root?.text && held.add === value.add && held.narrow === value.narrow) {
      return `%${register}`;
    }
  }
  if (value.root?.kind !== "load" || value.add !== 0 || depth >= DEEPEST) return null;
  const { address } = value.root;
  for (const [register, held] of registers) {
    if (held.root !== null && held.root.text === address.root?.text && !held.narrow) {
      return memoryAt(address.add - held.add, `%${register}`);
    }
  }
  const base = fetchValue({ ...address, add: 0 }, registers, depth + 1);
  return base === null ? null : memoryAt(address.add, base);
}
