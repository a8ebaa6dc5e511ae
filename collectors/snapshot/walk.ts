/**
 * Follows the kernel's structures by BTF. The kernel changes them meanwhile and no lock is taken: every pointer may be
 * stale, every list half-changed. So all loops are bounded, rings are closed or told to be broken, nothing is believed.
 */
import type { Btf, BtfField } from "../kernel/btf.js";
import type { Memory } from "./kernel-memory.js";

/** More than any machine has; a list that is longer is broken. */
const LONGEST_LIST = 100_000;
const LONGEST_STRING = 256;
/** struct xarray: tags in the lowest bits of an entry (include/linux/xarray.h). */
const XA_INTERNAL = 2n;
const XA_DEEPEST = 11;
const POINTER = 8;

export type FieldValue = number | bigint | string | boolean;

export class Walker {
  /** Fields found before, by struct and path: a thousand objects ask for the same. */
  readonly #fields = new Map<string, BtfField | null>();
  readonly #found = new Map<string, string | null>();

  constructor(
    readonly memory: Memory,
    readonly btf: Btf,
    /** Takes down what was found broken. */
    readonly complain: (message: string) => void,
  ) {}

  pointer(address: bigint): bigint | null {
    return this.memory.read(address, POINTER)?.readBigUInt64LE(0) ?? null;
  }

  field(struct: string, path: string): BtfField | null {
    const key = `${struct} ${path}`;
    let field = this.#fields.get(key);
    if (field === undefined) {
      field = this.btf.field(struct, path);
      this.#fields.set(key, field);
    }
    return field;
  }

  /** The first of these paths that the struct has; null when none. */
  find(struct: string, paths: readonly string[]): string | null {
    const key = `${struct} ${paths.join()}`;
    let found = this.#found.get(key);
    if (found === undefined) {
      found = paths.find((path) => this.#exists(struct, path.split("->"))) ?? null;
      this.#found.set(key, found);
    }
    return found;
  }

  #exists(struct: string, steps: readonly string[]): boolean {
    const [first = "", ...rest] = steps;
    const field = this.field(struct, first);
    if (field === null) return false;
    const target = field.type.target?.name ?? null;
    return rest.length === 0 || (target !== null && this.#exists(target, rest));
  }

  /** A field's value by the first path that exists: int, bool, pointer (bigint) or string; null when it cannot be had. */
  value(struct: string, address: bigint, paths: readonly string[]): FieldValue | null {
    const path = this.find(struct, paths);
    const place = path === null ? null : this.#place(struct, address, path.split("->"));
    return place === null ? null : this.#read(place.address, place.field);
  }

  /** As `value`, for pointers: NULL is null. */
  pointerAt(struct: string, address: bigint, paths: readonly string[]): bigint | null {
    const value = this.value(struct, address, paths);
    return typeof value === "bigint" && value !== 0n ? value : null;
  }

  /** Where a path leads, pointers followed. */
  #place(struct: string, address: bigint, steps: readonly string[]): { address: bigint; field: BtfField } | null {
    const [first = "", ...rest] = steps;
    const field = this.field(struct, first);
    if (field === null) return null;
    const at = address + BigInt(field.offset);
    if (rest.length === 0) return { address: at, field };
    const next = this.pointer(at);
    const target = field.type.target?.name ?? null;
    return next === null || next === 0n || target === null ? null : this.#place(target, next, rest);
  }

  /** Address of a member by the first path that exists. */
  address(struct: string, address: bigint, paths: readonly string[]): bigint | null {
    const path = this.find(struct, paths);
    return path === null ? null : (this.#place(struct, address, path.split("->"))?.address ?? null);
  }

  #read(address: bigint, { type, bits }: BtfField): FieldValue | null {
    if (type.kind === "pointer") {
      const value = this.pointer(address);
      const isText = type.target?.kind === "int" && type.target.size === 1;
      if (value === null || !isText) return value;
      return value === 0n ? null : this.#string(value);
    }
    if (type.kind === "array" && type.target?.size === 1) return this.#string(address);
    if (type.size < 1 || type.size > 8) return null;
    const bytes = this.memory.read(address, type.size);
    if (bytes === null) return null;
    if (bits !== null)
      return (Number(bytes.readUIntLE(0, Math.min(type.size, 6))) >>> bits.offset) & (2 ** bits.size - 1);
    if (type.size === 8) return Number(type.signed ? bytes.readBigInt64LE(0) : bytes.readBigUInt64LE(0));
    const value = type.signed ? bytes.readIntLE(0, type.size) : bytes.readUIntLE(0, type.size);
    return type.kind === "bool" ? value !== 0 : value;
  }

  #string(address: bigint): string | null {
    // Not across the end of a page that may not be mapped.
    const room = Math.min(LONGEST_STRING, 4096 - Number(address & 4095n));
    const bytes = this.memory.read(address, room);
    if (bytes === null) return null;
    const end = bytes.indexOf(0);
    return bytes.toString("utf8", 0, end < 0 ? room : end);
  }

  /** Whether a list_head is one: what is next to it points back. */
  isList(head: bigint): boolean {
    const next = this.pointer(head);
    return next !== null && next !== 0n && this.pointer(next + BigInt(POINTER)) === head;
  }

  /** Addresses of the structs on a circular list, by the member that links them. */
  list(head: bigint, struct: string, link: string, what: string): bigint[] {
    const field = this.field(struct, link);
    if (field === null) return [];
    const found: bigint[] = [];
    const seen = new Set<bigint>([head]);
    let at = this.pointer(head);
    while (at !== null && at !== head) {
      if (at === 0n || seen.has(at) || found.length >= LONGEST_LIST) {
        this.complain(`${what}: the list is broken after ${found.length} entries; it changed while it was read`);
        return found;
      }
      seen.add(at);
      found.push(at - BigInt(field.offset));
      at = this.pointer(at);
    }
    if (at === null)
      this.complain(`${what}: the list leads to memory that is not mapped, after ${found.length} entries`);
    return found;
  }

  /** Entries of a struct xarray that are pointers (lib/xarray.c). */
  xarray(address: bigint, what: string): bigint[] {
    const head = this.field("xarray", "xa_head");
    const entry = head === null ? null : this.pointer(address + BigInt(head.offset));
    const found: bigint[] = [];
    if (entry !== null && entry !== 0n) this.#xaEntry(entry, 0, found, what);
    return found;
  }

  #xaEntry(entry: bigint, depth: number, found: bigint[], what: string): void {
    if ((entry & 3n) !== XA_INTERNAL) {
      // Values have the lowest bit set; what is left are pointers.
      if ((entry & 3n) === 0n && found.length < LONGEST_LIST) found.push(entry);
      return;
    }
    // Small internal entries are marks (zero, retry), no nodes.
    if (entry < 4096n) return;
    const slots = this.field("xa_node", "slots");
    if (slots === null || depth > XA_DEEPEST) {
      this.complain(`${what}: the xarray is deeper than one can be; it changed while it was read`);
      return;
    }
    const node = this.memory.read(entry - XA_INTERNAL + BigInt(slots.offset), slots.type.length * POINTER);
    for (let at = 0; node !== null && at < node.length; at += POINTER) {
      const next = node.readBigUInt64LE(at);
      if (next !== 0n) this.#xaEntry(next, depth + 1, found, what);
    }
  }

  /** Pointers of an array in a struct; NULLs left out. */
  array(address: bigint, length: number): bigint[] {
    const bytes = this.memory.read(address, length * POINTER);
    const found: bigint[] = [];
    for (let at = 0; bytes !== null && at < bytes.length; at += POINTER) {
      const value = bytes.readBigUInt64LE(at);
      if (value !== 0n) found.push(value);
    }
    return found;
  }
}
