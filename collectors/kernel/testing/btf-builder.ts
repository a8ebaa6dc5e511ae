/** Writes small BTF for tests, as pahole would lay it out. Numbers of types are what each method returns. */
export class BtfBuilder {
  readonly #types: Buffer[] = [];
  #strings: string;
  readonly #firstType: number;
  readonly #firstString: number;

  /** `base`: what this one, of a module, continues. */
  constructor(base: BtfBuilder | null = null) {
    this.#strings = base === null ? "\0" : "";
    this.#firstType = base === null ? 1 : base.#firstType + base.#types.length;
    this.#firstString = base === null ? 0 : base.#firstString + base.#strings.length;
  }

  int(name: string, size: number, signed = true): number {
    return this.#add(name, 1, 0, size, [((signed ? 1 : 0) << 24) | (size * 8)]);
  }

  pointer(target: number): number {
    return this.#add("", 2, 0, target, []);
  }

  array(element: number, length: number): number {
    return this.#add("", 3, 0, 0, [element, element, length]);
  }

  /** Members as name, type and place in bytes. */
  struct(name: string, size: number, members: readonly (readonly [string, number, number])[]): number {
    const words = members.flatMap(([member, type, offset]) => [this.#string(member), type, offset * 8]);
    return this.#add(name, 4, members.length, size, words);
  }

  /** Like `struct`, with the flag for bit fields: place and width in bits. */
  bitStruct(name: string, size: number, members: readonly (readonly [string, number, number, number])[]): number {
    const words = members.flatMap(([member, type, bit, bits]) => [this.#string(member), type, (bits << 24) | bit]);
    return this.#add(name, 4, members.length, size, words, true);
  }

  typedef(name: string, target: number): number {
    return this.#add(name, 8, 0, target, []);
  }

  const(target: number): number {
    return this.#add("", 10, 0, target, []);
  }

  function(name: string, returns: number, parameters: readonly (readonly [string, number])[]): number {
    const words = parameters.flatMap(([parameter, type]) => [this.#string(parameter), type]);
    const prototype = this.#add("", 13, parameters.length, returns, words);
    return this.#add(name, 12, 0, prototype, []);
  }

  /** A type of a kind that does not exist. */
  unknown(): number {
    return this.#add("", 31, 0, 0, []);
  }

  build(): Buffer {
    const types = Buffer.concat(this.#types);
    const strings = Buffer.from(this.#strings, "latin1");
    const header = Buffer.alloc(24);
    header.writeUInt16LE(0xeb9f, 0);
    header[2] = 1;
    header.writeUInt32LE(24, 4);
    header.writeUInt32LE(types.length, 12);
    header.writeUInt32LE(types.length, 16);
    header.writeUInt32LE(strings.length, 20);
    return Buffer.concat([header, types, strings]);
  }

  #add(name: string, kind: number, members: number, word: number, tail: readonly number[], flag = false): number {
    const record = Buffer.alloc(12 + tail.length * 4);
    record.writeUInt32LE(this.#string(name), 0);
    record.writeUInt32LE(((flag ? 0x8000_0000 : 0) | (kind << 24) | members) >>> 0, 4);
    record.writeUInt32LE(word, 8);
    for (const [index, value] of tail.entries()) record.writeUInt32LE(value >>> 0, 12 + index * 4);
    this.#types.push(record);
    return this.#firstType + this.#types.length - 1;
  }

  #string(text: string): number {
    if (text === "") return 0;
    const at = this.#firstString + this.#strings.length;
    this.#strings += `${text}\0`;
    return at;
  }
}

/** `refcount_t`, as every kernel has it: the number of the typedef. */
export function addRefcount(types: BtfBuilder, int: number): number {
  const atomic = types.typedef("atomic_t", types.struct("", 4, [["counter", int, 0]]));
  return types.typedef("refcount_t", types.struct("refcount_struct", 4, [["refs", atomic, 0]]));
}
