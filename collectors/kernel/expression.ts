/** C expressions of the catalog, such as `((struct kvm_vcpu *)filp->private_data)->kvm`, as a probe can read them. */
import type { Btf, BtfType } from "./btf.js";
import { memoryAt } from "./fetch.js";

/** A value that a probe records: ftrace's fetch expression and type, and the struct that it points to. */
export interface Fetched {
  fetch: string;
  type: string;
  struct: string | null;
}

/** Something that lies in memory, `offset` bytes from what `pointer` gives; or, without a pointer, in a register. */
interface Place {
  pointer: string | null;
  offset: number;
  fetch: string;
  kind: BtfType;
}

/** Values that an expression may begin with, by name. */
export type Names = ReadonlyMap<string, Fetched>;

const TOKEN = /\s*(->|[().*]|[A-Za-z_]\w*)/y;

/** Null when the expression names what this kernel does not have. */
export function compileExpression(text: string, names: Names, btf: Btf | null): Fetched | null {
  const tokens = tokensOf(text);
  const place = tokens === null ? null : parsePostfix(tokens, names, btf);
  if (place === null || tokens?.length !== 0) return null;
  return {
    fetch: place.pointer === null ? place.fetch : memoryAt(place.offset, place.pointer),
    type: fetchType(place.kind),
    struct: structOf(place.kind),
  };
}

function tokensOf(text: string): string[] | null {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const match = TOKEN.exec(text);
    if (match?.[1] === undefined) return null;
    tokens.push(match[1]);
  }
  return tokens;
}

function parsePostfix(tokens: string[], names: Names, btf: Btf | null): Place | null {
  let place = parsePrimary(tokens, names, btf);
  while (place !== null && tokens.at(0) === "->") {
    let path = tokens.splice(0, 2)[1] ?? "";
    while (tokens.at(0) === ".") path += tokens.splice(0, 2).join("");
    place = member(place, path, btf);
  }
  return place;
}

function parsePrimary(tokens: string[], names: Names, btf: Btf | null): Place | null {
  const token = tokens.shift();
  if (token === "(" && tokens[0] === "struct") {
    const [, name = "", star, close] = tokens.splice(0, 4);
    const place = star === "*" && close === ")" ? parsePostfix(tokens, names, btf) : null;
    return place === null ? null : { ...place, kind: pointerTo(name) };
  }
  if (token === "(") {
    const place = parsePostfix(tokens, names, btf);
    return tokens.shift() === ")" ? place : null;
  }
  const known = token === undefined ? undefined : names.get(token);
  if (known === undefined) return null;
  const kind = known.struct === null ? { ...POINTER, kind: "int" as const } : pointerTo(known.struct);
  return { pointer: null, offset: 0, fetch: known.fetch, kind };
}

/** What a path leads to in the struct that `place` points to. */
function member(place: Place, path: string, btf: Btf | null): Place | null {
  const struct = structOf(place.kind);
  const field = struct === null ? null : (btf?.field(struct, path) ?? null);
  if (field === null || field.bits !== null) return null;
  const pointer = place.pointer === null ? place.fetch : memoryAt(place.offset, place.pointer);
  return { pointer, offset: field.offset, fetch: "", kind: field.type };
}

const POINTER: BtfType = { kind: "pointer", name: null, size: 8, signed: false, target: null, length: 0 };

function pointerTo(struct: string): BtfType {
  return { ...POINTER, target: { ...POINTER, kind: "struct", name: struct } };
}

function structOf(type: BtfType): string | null {
  return type.kind === "pointer" && type.target?.kind === "struct" ? type.target.name : null;
}

/** ftrace's type for a C type: pointers in hex, numbers with their width and sign. */
export function fetchType({ kind, size, signed }: BtfType): string {
  if (kind === "bool") return "u8";
  if ((kind === "int" || kind === "enum") && [1, 2, 4, 8].includes(size)) return `${signed ? "s" : "u"}${size * 8}`;
  return "x64";
}
