/**
 * The code of functions that are built into the kernel, as it runs: there is no file of it. Only what the catalogue names
 * is read. What the kernel patches is patched already; where kprobes must not sit, the kernel itself refuses them.
 */
import type { Catalog } from "../catalog/catalog.js";
import type { CodeFunction } from "./function.js";
import { decodeFunction } from "./instructions.js";
import type { RunningCode } from "./live-sites.js";
import type { ModuleCode } from "./modules.js";
import { DECREMENTS } from "./operations.js";
import type { SymbolTable } from "./symbols.js";

export type BuiltInCode = Pick<ModuleCode, "symbols" | "functions">;

/** Longer functions are not what the catalogue is about; a gap between two symbols may be. */
const LONGEST = 1 << 16;
const CALL = 0xe8;
const INT3 = 0xcc;

/** Functions of the kernel itself; those that cannot be read are left out. */
export function readBuiltIn(catalog: Catalog, running: RunningCode, symbols: SymbolTable): BuiltInCode {
  const helpers = new Map(
    [...DECREMENTS].flatMap((name) => running.find(name, null).map((address): [bigint, string] => [address, name])),
  );
  const names = new Set<string>();
  for (const entry of catalog.classes.values()) {
    if (entry.counter === undefined || entry.struct === undefined) continue;
    for (const name of [...Object.keys(entry.functions), ...Object.keys(entry.sites)]) names.add(name);
  }
  const functions = [...names]
    .flatMap((name) => [name, ...symbols.clones(name, null)])
    .filter((symbol) => symbols.count(symbol, null) === 1)
    .flatMap((symbol) => readFunction(symbol, running, helpers) ?? []);
  return { functions, symbols: new Map(functions.map((code) => [code.names[0] ?? "", [code]])) };
}

function readFunction(symbol: string, running: RunningCode, helpers: ReadonlyMap<bigint, string>): CodeFunction | null {
  const place = running.extent(symbol);
  if (place === null || place.size > LONGEST) return null;
  const bytes = running.read(place.address, place.size);
  if (bytes === null) return null;
  const code = codeAt(symbol, place.address, bytes, running, helpers);
  return isWhole(code) ? code : null;
}

function codeAt(
  symbol: string,
  address: bigint,
  bytes: Buffer,
  running: RunningCode,
  helpers: ReadonlyMap<bigint, string>,
): CodeFunction {
  const links = new Map<number, string>();
  for (let at = bytes.indexOf(CALL); at >= 0 && at + 5 <= bytes.length; at = bytes.indexOf(CALL, at + 1)) {
    const name = helpers.get(BigInt.asUintN(64, address + BigInt(at + 5 + bytes.readInt32LE(at + 1))));
    if (name !== undefined) links.set(at + 1, name);
  }
  return {
    names: [symbol],
    section: ".text",
    bytes,
    start: 0,
    links,
    nameAt: (offset) => running.nameAt(BigInt.asUintN(64, address + BigInt(offset))),
    entries: new Set(),
    patched: [],
    probeable: true,
    traceable: true,
  };
}

/**
 * A breakpoint of somebody's hides what stood there: what follows cannot be decoded. Behind what never goes on they only
 * pad, or stop speculation (CONFIG_SLS).
 */
function isWhole(code: CodeFunction): boolean {
  const { bytes } = code;
  let goesOn = true;
  return decodeFunction(code).every(({ offset, flow }) => {
    if (bytes[offset] === INT3) return !goesOn;
    goesOn = flow !== "end" && flow !== "jump";
    return true;
  });
}
