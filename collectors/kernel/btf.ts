/**
 * BTF, the kernel's own description of its types: where a field stands in its struct, what a function takes and returns.
 * Format: Documentation/bpf/btf.rst and include/uapi/linux/btf.h; split BTF of modules since 5.11.
 */

import { UnusableKernel } from "./unusable.js";

/** Kinds of include/uapi/linux/btf.h. */
const KIND = {
  int: 1,
  pointer: 2,
  array: 3,
  struct: 4,
  union: 5,
  enum: 6,
  forward: 7,
  typedef: 8,
  volatile: 9,
  const: 10,
  restrict: 11,
  function: 12,
  prototype: 13,
  variable: 14,
  section: 15,
  float: 16,
  declTag: 17,
  typeTag: 18,
  enum64: 19,
} as const;

/** Bytes after a type's 12-byte head, by kind: fixed ones, and per member (`vlen`). */
const TAIL: Readonly<Record<number, readonly [fixed: number, each: number]>> = {
  [KIND.int]: [4, 0],
  [KIND.pointer]: [0, 0],
  [KIND.array]: [12, 0],
  [KIND.struct]: [0, 12],
  [KIND.union]: [0, 12],
  [KIND.enum]: [0, 8],
  [KIND.forward]: [0, 0],
  [KIND.typedef]: [0, 0],
  [KIND.volatile]: [0, 0],
  [KIND.const]: [0, 0],
  [KIND.restrict]: [0, 0],
  [KIND.function]: [0, 0],
  [KIND.prototype]: [0, 8],
  [KIND.variable]: [4, 0],
  [KIND.section]: [0, 12],
  [KIND.float]: [0, 0],
  [KIND.declTag]: [4, 0],
  [KIND.typeTag]: [0, 0],
  [KIND.enum64]: [0, 12],
};

/** Kinds that are looked up by name; structs and unions share theirs. */
const NAMED: Readonly<Record<number, string>> = {
  [KIND.struct]: "s",
  [KIND.union]: "s",
  [KIND.function]: "f",
  [KIND.typedef]: "t",
};

/** Kinds that only rename or qualify another type. */
const WRAPPERS: ReadonlySet<number> = new Set([
  KIND.typedef,
  KIND.volatile,
  KIND.const,
  KIND.restrict,
  KIND.typeTag,
  KIND.declTag,
]);

const MAGIC = 0xeb9f;
const HEAD = 12;
const INT_SIGNED = 1;
const INT_BOOL = 4;
const POINTER_BYTES = 8;
/** Types that refer to each other in a circle are damage; real chains are short. */
const DEEPEST = 64;

/** A type without its typedefs and qualifiers. */
export interface BtfType {
  kind: "void" | "int" | "bool" | "float" | "pointer" | "array" | "struct" | "union" | "enum" | "function";
  /** Tag of a struct, union or enum; name of an int. Null for anonymous ones. */
  name: string | null;
  /** Bytes; 0 for void, functions, and structs that are declared only. */
  size: number;
  signed: boolean;
  /** What a pointer points to, or of what an array is. */
  target: BtfType | null;
  /** Elements of an array, else 0. */
  length: number;
}

/** A field of a struct. */
export interface BtfField {
  /** Bytes from the start of the struct. */
  offset: number;
  /** Set for a bit field: bits from `offset`, and how many. */
  bits: { offset: number; size: number } | null;
  type: BtfType;
}

export interface BtfPrototype {
  returns: BtfType;
  parameters: readonly { name: string | null; type: BtfType }[];
}

/** The data are not BTF, or are damaged: what, where, what to do. */
export class BtfError extends UnusableKernel {}

const VOID: BtfType = { kind: "void", name: null, size: 0, signed: false, target: null, length: 0 };

/** Reads raw BTF. `base`: the kernel's own, for that of a module. @throws BtfError naming `file` and the offset. */
export function readBtf(data: Buffer, file: string, base: Btf | null = null): Btf {
  return new Btf(data, file, base);
}

/** A module's BTF continues the numbers and strings of the kernel's; lookups by name try the module first. */
export class Btf {
  readonly #data: Buffer;
  readonly #file: string;
  readonly #base: Btf | null;
  readonly #strings: Buffer;
  /** First string offset and first type number of our own. */
  readonly #firstString: number;
  readonly #firstType: number;
  /** Where each own type starts in the data. */
  readonly #starts: Uint32Array;
  /** Own types by kind and name; several structs may share a name. */
  #byName: Map<string, number[]> | null = null;
  /** What could not be read; null when all could. */
  readonly damage: string | null;

  constructor(data: Buffer, file: string, base: Btf | null) {
    if (data.length < 24 || data.readUInt16LE(0) !== MAGIC) {
      const swapped = data.length >= 2 && data.readUInt16BE(0) === MAGIC;
      const what = swapped ? "BTF of a big-endian machine" : "no BTF (it does not begin with 9f eb)";
      throw new BtfError(`${file}: offset 0: ${what}; give /sys/kernel/btf/vmlinux or the kernel's vmlinux`);
    }
    const headerLength = data.readUInt32LE(4);
    const types = headerLength + data.readUInt32LE(8);
    const typesEnd = types + data.readUInt32LE(12);
    const strings = headerLength + data.readUInt32LE(16);
    const stringsEnd = strings + data.readUInt32LE(20);
    if (typesEnd > data.length || stringsEnd > data.length) {
      const end = Math.max(typesEnd, stringsEnd);
      throw new BtfError(
        `${file}: offset ${data.length}: the BTF is cut, its header speaks of ${end} bytes; copy it again`,
      );
    }
    this.#data = data;
    this.#file = file;
    this.#base = base;
    this.#strings = data.subarray(strings, stringsEnd);
    // Only split BTF may begin without the empty string.
    if (base === null && this.#strings.length > 0 && this.#strings[0] !== 0) {
      throw new BtfError(
        `${file}: offset ${strings}: this BTF of a module continues the kernel's; give the kernel's, too`,
      );
    }
    this.#firstString = base === null ? 0 : base.#firstString + base.#strings.length;
    // Number 0 is void and has no record.
    this.#firstType = base === null ? 1 : base.#firstType + base.#starts.length;
    const found: number[] = [];
    let damage: string | null = null;
    let at = types;
    while (at + HEAD <= typesEnd) {
      const info = data.readUInt32LE(at + 4);
      const tail = TAIL[kindOf(info)];
      const length = tail === undefined ? 0 : HEAD + tail[0] + tail[1] * membersOf(info);
      if (tail === undefined || at + length > typesEnd) {
        const what = tail === undefined ? `a type of the unknown kind ${kindOf(info)}` : "a type that is cut";
        damage = `${file}: offset ${at}: ${what}; the ${found.length} types before it are used`;
        break;
      }
      found.push(at);
      at += length;
    }
    this.#starts = Uint32Array.from(found);
    this.damage = damage;
  }

  /**
   * A field by its path in a struct or union, such as `users_count.refs.counter`; anonymous members need not be named.
   * Null when there is no such field, or when structs of this name disagree about it.
   */
  field(struct: string, path: string): BtfField | null {
    let found: BtfField | null = null;
    for (const [owner, id] of this.#definitions(struct)) {
      const field = owner.#fieldAt(id, path.split("."), 0);
      if (field === null) continue;
      if (found !== null && found.offset !== field.offset) return null;
      found = field;
    }
    if (found !== null || this.#base === null) return found;
    return this.#base.field(struct, path);
  }

  /** Name of the struct that the pointer at an offset (bytes) of a struct points to; null when there is no such pointer. */
  pointerAt(struct: string, offset: number): string | null {
    for (const [owner, id] of this.#definitions(struct)) return owner.#pointerIn(id, offset, 0);
    return this.#base?.pointerAt(struct, offset) ?? null;
  }

  #pointerIn(id: number, offset: number, depth: number): string | null {
    for (const member of this.#members(id)) {
      const start = member.bit >>> 3;
      const type = this.#strip(member.type);
      if (type === 0 || offset < start || offset >= start + this.#size(type)) continue;
      if (this.#isStruct(type)) {
        const inner = depth < DEEPEST ? this.#owner(type).#pointerIn(type, offset - start, depth + 1) : null;
        if (inner !== null) return inner;
      } else if (offset === start && this.#kind(type) === KIND.pointer) {
        const target = this.#strip(this.#target(type));
        return this.#kind(target) === KIND.struct ? this.#name(target) : null;
      }
    }
    return null;
  }

  /** Bytes of a struct or union; null when it is not defined here. */
  sizeOf(struct: string): number | null {
    for (const [owner, id] of this.#definitions(struct)) return owner.#size(id);
    return this.#base?.sizeOf(struct) ?? null;
  }

  /** What a function takes and returns; null when it is not known, or when functions of this name disagree. */
  prototype(name: string): BtfPrototype | null {
    const found = (this.#names().get(`f ${name}`) ?? []).map((id) => this.#prototypeOf(this.#target(id)));
    const [first] = found;
    if (first === undefined) return this.#base?.prototype(name) ?? null;
    return found.every((other) => JSON.stringify(other) === JSON.stringify(first)) ? first : null;
  }

  /** Whether there is a function of this name in the code that the BTF describes (not in its base). */
  hasFunction(name: string): boolean {
    return this.#names().has(`f ${name}`);
  }

  /** Whether a type of this name was defined by `typedef`. */
  hasTypedef(name: string): boolean {
    return this.#names().has(`t ${name}`) || (this.#base?.hasTypedef(name) ?? false);
  }

  /**
   * Structs that hold a counter, an int of 4 bytes called `counter`, at an offset in bytes: `atomic_t`, and what is made
   * of it. Nested and anonymous members are looked into.
   */
  *structsWithCounterAt(offset: number): Iterable<string> {
    if (this.#base !== null) yield* this.#base.structsWithCounterAt(offset);
    for (const [key, ids] of this.#names()) {
      if (!key.startsWith("s ")) continue;
      if (ids.some((id) => this.#counterAt(id, offset, 0))) yield key.slice(2);
    }
  }

  #counterAt(id: number, offset: number, depth: number): boolean {
    for (const member of this.#members(id)) {
      const start = member.bit >>> 3;
      const type = this.#strip(member.type);
      if (type === 0 || offset < start || offset >= start + Math.max(this.#size(type), 1)) continue;
      if (this.#isStruct(type)) {
        if (depth < DEEPEST && this.#owner(type).#counterAt(type, offset - start, depth + 1)) return true;
      } else if (this.#kind(type) === KIND.array) {
        const element = this.#strip(this.#array(type).element);
        const stride = this.#size(element);
        const nested = stride > 0 && this.#isStruct(element) && depth < DEEPEST;
        if (nested && this.#owner(element).#counterAt(element, (offset - start) % stride, depth + 1)) return true;
      } else if (offset === start && this.#size(type) === 4 && member.name === "counter") return true;
    }
    return false;
  }

  *#definitions(struct: string): Iterable<[Btf, number]> {
    for (const id of this.#names().get(`s ${struct}`) ?? []) yield [this, id];
  }

  #names(): Map<string, number[]> {
    if (this.#byName !== null) return this.#byName;
    const names = new Map<string, number[]>();
    for (const [index, start] of this.#starts.entries()) {
      const kind = kindOf(this.#data.readUInt32LE(start + 4));
      const letter = NAMED[kind];
      const name = letter === undefined ? null : this.#string(this.#data.readUInt32LE(start));
      if (name === null) continue;
      const known = names.get(`${letter} ${name}`);
      if (known) known.push(this.#firstType + index);
      else names.set(`${letter} ${name}`, [this.#firstType + index]);
    }
    this.#byName = names;
    return names;
  }

  #string(offset: number): string | null {
    if (offset < this.#firstString) return this.#base === null ? null : this.#base.#string(offset);
    const start = offset - this.#firstString;
    const end = this.#strings.indexOf(0, start);
    if (start >= this.#strings.length || end <= start) return null;
    return this.#strings.toString("latin1", start, end);
  }

  /** The BTF, this one or the base, that a type number belongs to. */
  #owner(id: number): Btf {
    if (id < this.#firstType && this.#base !== null) return this.#base.#owner(id);
    if (id < this.#firstType || id >= this.#firstType + this.#starts.length) {
      const advice = this.#base === null ? "it is damaged" : "it is damaged, or does not belong to the kernel's BTF";
      throw new BtfError(`${this.#file}: there is no type number ${id}: ${advice}`);
    }
    return this;
  }

  #start(id: number): number {
    return this.#starts[id - this.#firstType] as number;
  }

  /** Kind of a type; 0 for void. */
  #kind(id: number): number {
    if (id === 0) return 0;
    const owner = this.#owner(id);
    return kindOf(owner.#data.readUInt32LE(owner.#start(id) + 4));
  }

  /** Third word of a type: the number of the type that it refers to, or its size. */
  #word(id: number): number {
    const owner = this.#owner(id);
    return owner.#data.readUInt32LE(owner.#start(id) + 8);
  }

  #target(id: number): number {
    return this.#word(id);
  }

  #name(id: number): string | null {
    const owner = this.#owner(id);
    return owner.#string(owner.#data.readUInt32LE(owner.#start(id)));
  }

  #strip(id: number): number {
    let at = id;
    for (let depth = 0; WRAPPERS.has(this.#kind(at)); depth++) {
      if (depth > DEEPEST) throw new BtfError(`${this.#file}: type ${id} refers to itself; the BTF is damaged`);
      at = this.#target(at);
    }
    return at;
  }

  #isStruct(id: number): boolean {
    const kind = this.#kind(id);
    return kind === KIND.struct || kind === KIND.union;
  }

  /** Members of a struct or union with their place in bits. */
  *#members(id: number): Iterable<{ name: string | null; type: number; bit: number; bits: number }> {
    const owner = this.#owner(id);
    const start = owner.#start(id);
    const info = owner.#data.readUInt32LE(start + 4);
    // With the kind flag an offset's upper 8 bits are the width of a bit field.
    const packed = info >>> 31 === 1;
    for (let index = 0; index < membersOf(info); index++) {
      const at = start + HEAD + index * 12;
      const place = owner.#data.readUInt32LE(at + 8);
      yield {
        name: owner.#string(owner.#data.readUInt32LE(at)),
        type: owner.#data.readUInt32LE(at + 4),
        bit: packed ? place & 0xff_ffff : place,
        bits: packed ? place >>> 24 : 0,
      };
    }
  }

  #fieldAt(id: number, path: readonly string[], depth: number): BtfField | null {
    const [name, ...rest] = path;
    if (name === undefined || depth > DEEPEST || !this.#isStruct(id)) return null;
    for (const member of this.#members(id)) {
      const inner =
        member.name === name
          ? rest.length === 0
            ? { offset: 0, bits: null, type: this.#describe(member.type) }
            : this.#fieldAt(this.#strip(member.type), rest, depth + 1)
          : member.name === null
            ? this.#fieldAt(this.#strip(member.type), path, depth + 1)
            : null;
      if (inner === null) continue;
      const bits = member.bits > 0 && member.name === name ? { offset: member.bit & 7, size: member.bits } : inner.bits;
      return { ...inner, offset: inner.offset + (member.bit >>> 3), bits };
    }
    return null;
  }

  #size(id: number, depth = 0): number {
    const kind = this.#kind(id);
    if (kind === KIND.pointer) return POINTER_BYTES;
    if (kind === KIND.array && depth < DEEPEST) {
      const { element, length } = this.#array(id);
      return length * this.#size(this.#strip(element), depth + 1);
    }
    const sized = [KIND.int, KIND.struct, KIND.union, KIND.enum, KIND.enum64, KIND.float] as number[];
    return sized.includes(kind) ? this.#word(id) : 0;
  }

  #array(id: number): { element: number; length: number } {
    const owner = this.#owner(id);
    const at = owner.#start(id) + HEAD;
    return { element: owner.#data.readUInt32LE(at), length: owner.#data.readUInt32LE(at + 8) };
  }

  /** The type without wrappers. What a pointer points to is told, but not what that points to in its turn. */
  #describe(id: number, depth = 0): BtfType {
    const at = this.#strip(id);
    const kind = this.#kind(at);
    const plain = (name: BtfType["kind"]): BtfType => ({
      ...VOID,
      kind: name,
      name: this.#name(at),
      size: this.#size(at),
    });
    switch (kind) {
      case KIND.int: {
        const owner = this.#owner(at);
        const encoding = (owner.#data.readUInt32LE(owner.#start(at) + HEAD) >>> 24) & 0xf;
        return { ...plain(encoding & INT_BOOL ? "bool" : "int"), signed: (encoding & INT_SIGNED) !== 0 };
      }
      case KIND.pointer:
        return {
          ...plain("pointer"),
          name: null,
          target: depth < 2 ? this.#describe(this.#target(at), depth + 1) : null,
        };
      case KIND.array: {
        const { element, length } = this.#array(at);
        return { ...plain("array"), name: null, length, target: depth < 4 ? this.#describe(element, depth + 1) : null };
      }
      case KIND.struct:
        return plain("struct");
      case KIND.union:
        return plain("union");
      case KIND.forward:
        return plain("struct");
      case KIND.enum:
      case KIND.enum64: {
        const owner = this.#owner(at);
        return { ...plain("enum"), signed: owner.#data.readUInt32LE(owner.#start(at) + 4) >>> 31 === 1 };
      }
      case KIND.float:
        return plain("float");
      case KIND.prototype:
        return { ...VOID, kind: "function" };
      default:
        return VOID;
    }
  }

  #prototypeOf(id: number): BtfPrototype {
    const owner = this.#owner(id);
    const start = owner.#start(id);
    const info = owner.#data.readUInt32LE(start + 4);
    const parameters = Array.from({ length: membersOf(info) }, (_, index) => {
      const at = start + HEAD + index * 8;
      return {
        name: owner.#string(owner.#data.readUInt32LE(at)),
        type: this.#describe(owner.#data.readUInt32LE(at + 4)),
      };
    });
    return { returns: this.#describe(this.#word(id)), parameters };
  }
}

function kindOf(info: number): number {
  return (info >>> 24) & 0x1f;
}

function membersOf(info: number): number {
  return info & 0xffff;
}
