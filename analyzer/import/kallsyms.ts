/**
 * Symbols of a kernel as `/proc/kallsyms` prints them: `ADDR TYPE NAME[\t[MODULE]]`.
 *
 * Addresses are held as signed numbers in doubles: kernel addresses are small negative numbers then, and exact. Only
 * addresses beyond +-2^53 would be rounded, and no architecture has such.
 */

import type { Address, CodeLocation, SymbolTable } from "./trace-event.js";

/** A symbol does not cover addresses this far from its start: beyond lies memory that the table does not describe. */
const FARTHEST = 0x10000;

const NEWLINE = 0x0a;
const SPACE = 0x20;

/** @returns null when the text has no usable address: all are zero for a reader without privilege. */
export function parseKallsyms(text: Buffer): SymbolTable | null {
  const { addresses, starts } = scanLines(text);
  if (!addresses.some((address) => address !== 0)) return null;

  const order = sortedOrder(addresses);
  const sorted = Float64Array.from(order, (line) => addresses[line]!);
  const symbolAt = (index: number) => parseSymbol(text, starts[order[index]!]!);
  let names: Set<string> | null = null;

  /** Index of the last symbol at or below, -1 when there is none. */
  function below(address: number): number {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (sorted[middle]! <= address) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** The best of all symbols at the address nearest below. */
  function nearestBelow(address: Address): { found: Symbol; offset: number } | null {
    const wanted = Number(BigInt.asIntN(64, address));
    let index = below(wanted);
    if (index < 0) return null;
    const start = sorted[index]!;
    let found = symbolAt(index);
    while (--index >= 0 && sorted[index] === start) {
      const other = symbolAt(index);
      if (rank(other) <= rank(found)) found = other;
    }
    return { found, offset: wanted - start };
  }

  return {
    locate(address: Address): CodeLocation {
      const nearest = nearestBelow(address);
      if (nearest === null || !isText(nearest.found) || nearest.offset >= FARTHEST) {
        return { address, symbol: null, offset: null, module: null };
      }
      return { address, symbol: nearest.found.name, offset: nearest.offset, module: nearest.found.module };
    },
    nearest(address: Address) {
      const nearest = nearestBelow(address);
      if (nearest === null) return null;
      return { symbol: nearest.found.name, offset: BigInt(nearest.offset), module: nearest.found.module };
    },
    has(symbol: string) {
      names ??= textNames(symbolAt, sorted.length);
      return names.has(withoutSuffix(symbol));
    },
    modules() {
      const ranges = new Map<string, { start: Address; end: Address }>();
      for (let index = 0; index < sorted.length; index++) {
        const { module } = symbolAt(index);
        if (module === null || isPerCpuOffset(sorted[index]!)) continue;
        const address = BigInt.asUintN(64, BigInt(sorted[index]!));
        const range = ranges.get(module);
        if (range === undefined) ranges.set(module, { start: address, end: address });
        else range.end = address;
      }
      return ranges;
    },
  };
}

/** Addresses (signed) of all sound lines, and where their type letters are in the text. */
function scanLines(text: Buffer): { addresses: Float64Array; starts: Uint32Array } {
  let lines = 1;
  for (let at = text.indexOf(NEWLINE); at >= 0; at = text.indexOf(NEWLINE, at + 1)) lines++;
  const addresses = new Float64Array(lines);
  const starts = new Uint32Array(lines);
  let count = 0;
  for (let at = 0; at < text.length; ) {
    let high = 0;
    let low = 0;
    const lineStart = at;
    for (let digit = hexDigit(text[at]); digit >= 0; digit = hexDigit(text[++at])) {
      high = (high << 4) | (low >>> 28);
      low = (low << 4) | digit;
    }
    const digits = at - lineStart;
    // A damaged line is left out, the others stay good.
    if (digits >= 4 && digits <= 16 && text[at] === SPACE && text[at + 2] === SPACE) {
      addresses[count] = high * 0x100000000 + (low >>> 0);
      starts[count++] = at + 1;
    }
    const newline = text.indexOf(NEWLINE, at);
    at = newline < 0 ? text.length : newline + 1;
  }
  return { addresses: addresses.subarray(0, count), starts: starts.subarray(0, count) };
}

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  if (byte >= 0x61 && byte <= 0x66) return byte - 0x57;
  if (byte >= 0x41 && byte <= 0x46) return byte - 0x37;
  return -1;
}

/** Line numbers by ascending address; equal addresses keep the order of the file. */
function sortedOrder(addresses: Float64Array): Uint32Array {
  const order = Uint32Array.from(addresses, (_, line) => line);
  return order.sort((a, b) => addresses[a]! - addresses[b]! || a - b);
}

/** Per-CPU variables are listed by their offset in the per-CPU area, a small number. */
function isPerCpuOffset(address: number): boolean {
  return address >= 0 && address < 0x1000000;
}

interface Symbol {
  type: string;
  name: string;
  module: string | null;
}

/** Reads `T name\t[module]`. */
function parseSymbol(text: Buffer, start: number): Symbol {
  const newline = text.indexOf(NEWLINE, start);
  const line = text.toString("latin1", start, newline < 0 ? text.length : newline);
  const [name = "", module] = line.slice(2).split("\t");
  return { type: line.charAt(0), name: name.trimEnd(), module: module === undefined ? null : module.slice(1, -1) };
}

function textNames(symbolAt: (index: number) => Symbol, count: number): Set<string> {
  const names = new Set<string>();
  for (let index = 0; index < count; index++) {
    const symbol = symbolAt(index);
    if (isText(symbol)) names.add(withoutSuffix(symbol.name));
  }
  return names;
}

/** Clones are named after their function: `kvm_put_kvm.isra.0`, `….part.0`, `….constprop.0`. */
function withoutSuffix(name: string): string {
  const dot = name.indexOf(".");
  return dot > 0 ? name.slice(0, dot) : name;
}

function isText(symbol: Symbol): boolean {
  return "tTwW".includes(symbol.type);
}

/**
 * Of several names of one address the lowest wins, and of equals the one that the kernel lists first (it sorts them by
 * fitness: scripts/kallsyms.c, compare_symbols()). Text comes first, then names of functions, then global ones.
 */
function rank(symbol: Symbol): number {
  return (isText(symbol) ? 0 : 4) + (NOT_A_FUNCTION.test(symbol.name) ? 2 : 0) + (symbol.type === "T" ? 0 : 1);
}

/** Parts and paddings of functions, and the marks that the linker puts around sections. */
const NOT_A_FUNCTION = /\.|^__pfx_|^__cfi_|^__(?:start|stop|end)_|^__\w*_(?:start|end)$|^_s?text$/;
