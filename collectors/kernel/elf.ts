/**
 * ELF as the kernel uses it: modules (relocatable), vmlinux. 64-bit little-endian only, as x86-64 and arm64 are.
 * Format: System V ABI, chapter 4; build id: note of type 3 and name `GNU`.
 */

import { UnusableKernel } from "./unusable.js";

export interface Section {
  index: number;
  name: string;
  /** SHT_* */
  type: number;
  executable: boolean;
  /** Where it is linked to; 0 in modules. */
  address: bigint;
  offset: number;
  /** Bytes. */
  size: number;
  /** Sections that it belongs to, by their index: of a symbol table, its strings; of relocations, what they change. */
  link: number;
  info: number;
}

export interface ElfSymbol {
  name: string;
  /** Bytes from the start of its section in modules, an address in vmlinux. */
  value: bigint;
  /** Bytes. */
  size: number;
  function: boolean;
  /** Index of its section; null when it is another file's, or absolute. */
  section: number | null;
}

export interface Relocation {
  /** Bytes from the start of the section that it changes. */
  offset: number;
  /** R_X86_64_* */
  type: number;
  symbol: ElfSymbol;
  addend: bigint;
}

/** The data are not the ELF that is wanted, or are damaged: what, where, what to do. */
export class ElfError extends UnusableKernel {}

const SHT_NOBITS = 8;
const SHT_SYMTAB = 2;
const SHT_RELA = 4;
const SHF_EXECINSTR = 4;
const SHN_LORESERVE = 0xff00;
const STT_FUNC = 2;
const STT_SECTION = 3;
const NT_GNU_BUILD_ID = 3;

export function isElf(data: Buffer): boolean {
  return data.length >= 64 && data.readUInt32BE(0) === 0x7f454c46;
}

/** @throws ElfError naming `file` and the offset. */
export function readElf(data: Buffer, file: string): Elf {
  return new Elf(data, file);
}

export class Elf {
  readonly sections: readonly Section[];
  readonly relocatable: boolean;
  #symbols: readonly ElfSymbol[] | null = null;

  constructor(
    readonly data: Buffer,
    readonly file: string,
  ) {
    if (!isElf(data)) throw this.#error(0, "no ELF file");
    if (data[4] !== 2 || data[5] !== 1) throw this.#error(4, "not a 64-bit little-endian ELF file");
    this.relocatable = data.readUInt16LE(16) === 1;
    this.sections = this.#readSections();
  }

  #error(offset: number, what: string): ElfError {
    return new ElfError(`${this.file}: offset ${offset}: ${what}; give a kernel module or vmlinux of x86-64`);
  }

  #readSections(): Section[] {
    const { data } = this;
    const table = Number(data.readBigUInt64LE(40));
    const count = data.readUInt16LE(60);
    const names = data.readUInt16LE(62);
    if (table + count * 64 > data.length) throw this.#error(table, `the table of ${count} sections is cut off`);
    const headers = Array.from({ length: count }, (_, index) => {
      const at = table + index * 64;
      return {
        index,
        nameOffset: data.readUInt32LE(at),
        type: data.readUInt32LE(at + 4),
        executable: (data.readUInt32LE(at + 8) & SHF_EXECINSTR) !== 0,
        address: data.readBigUInt64LE(at + 16),
        offset: Number(data.readBigUInt64LE(at + 24)),
        size: Number(data.readBigUInt64LE(at + 32)),
        link: data.readUInt32LE(at + 40),
        info: data.readUInt32LE(at + 44),
      };
    });
    for (const { index, type, offset, size } of headers) {
      if (type !== SHT_NOBITS && offset + size > data.length) throw this.#error(offset, `section ${index} is cut off`);
    }
    const strings = headers[names];
    return headers.map(({ nameOffset, ...header }) => ({
      ...header,
      name: strings === undefined ? "" : this.#string(strings, nameOffset),
    }));
  }

  #string(table: { offset: number; size: number }, start: number): string {
    if (start >= table.size) return "";
    const end = this.data.indexOf(0, table.offset + start);
    return this.data.toString("latin1", table.offset + start, end < 0 ? table.offset + table.size : end);
  }

  section(name: string): Section | null {
    return this.sections.find((section) => section.name === name) ?? null;
  }

  /** The bytes of a section, relocations not applied. */
  content(section: Section): Buffer {
    if (section.type === SHT_NOBITS) return Buffer.alloc(0);
    return this.data.subarray(section.offset, section.offset + section.size);
  }

  /** All symbols with a name, sections included under theirs; index of the table is kept. */
  symbols(): readonly ElfSymbol[] {
    if (this.#symbols !== null) return this.#symbols;
    const table = this.sections.find((section) => section.type === SHT_SYMTAB);
    const symbols: ElfSymbol[] = [];
    const strings = table === undefined ? undefined : this.sections[table.link];
    if (table !== undefined && strings !== undefined) {
      const content = this.content(table);
      for (let at = 0; at + 24 <= content.length; at += 24) {
        const type = (content[at + 4] as number) & 0xf;
        const index = content.readUInt16LE(at + 6);
        const section = index === 0 || index >= SHN_LORESERVE ? null : index;
        const own = type === STT_SECTION && section !== null ? this.sections[section]?.name : undefined;
        symbols.push({
          name: own ?? this.#string(strings, content.readUInt32LE(at)),
          value: content.readBigUInt64LE(at + 8),
          size: Number(content.readBigUInt64LE(at + 16)),
          function: type === STT_FUNC,
          section,
        });
      }
    }
    this.#symbols = symbols;
    return symbols;
  }

  /** What the loader changes in a section, by rising offset. */
  relocations(section: Section): Relocation[] {
    const symbols = this.symbols();
    const found: Relocation[] = [];
    for (const table of this.sections) {
      if (table.type !== SHT_RELA || table.info !== section.index) continue;
      const content = this.content(table);
      for (let at = 0; at + 24 <= content.length; at += 24) {
        const number = content.readUInt32LE(at + 12);
        const symbol = symbols[number];
        if (symbol === undefined)
          throw this.#error(table.offset + at, `a relocation of symbol ${number}, which does not exist`);
        found.push({
          offset: Number(content.readBigUInt64LE(at)),
          type: content.readUInt32LE(at + 8),
          symbol,
          addend: content.readBigInt64LE(at + 16),
        });
      }
    }
    return found.sort((a, b) => a.offset - b.offset);
  }

  /** Hex, as /sys/module/NAME/notes has it and `file` prints it. */
  buildId(): string | null {
    for (const section of this.sections) {
      if (section.name.startsWith(".note")) {
        const id = buildIdOfNotes(this.content(section));
        if (id !== null) return id;
      }
    }
    return null;
  }

  /** A value of the `.modinfo` section, such as `srcversion`. */
  moduleInfo(key: string): string | null {
    const section = this.section(".modinfo");
    const entries = section === null ? [] : this.content(section).toString("latin1").split("\0");
    return entries.find((entry) => entry.startsWith(`${key}=`))?.slice(key.length + 1) ?? null;
  }
}

/** The build id among ELF notes, as in /sys/kernel/notes and /sys/module/NAME/notes/.note.gnu.build-id; hex. */
export function buildIdOfNotes(notes: Buffer): string | null {
  let at = 0;
  while (at + 12 <= notes.length) {
    const nameSize = notes.readUInt32LE(at);
    const size = notes.readUInt32LE(at + 4);
    if (nameSize > notes.length || size > notes.length) return null;
    const start = at + 12 + ((nameSize + 3) & ~3);
    const name = notes.toString("latin1", at + 12, at + 12 + nameSize);
    if (notes.readUInt32LE(at + 8) === NT_GNU_BUILD_ID && name === "GNU\0" && start + size <= notes.length) {
      return notes.toString("hex", start, start + size);
    }
    at = start + ((size + 3) & ~3);
  }
  return null;
}
