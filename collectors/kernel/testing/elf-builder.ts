/** Writes small relocatable ELF files for tests: the shape of a kernel module. */

export interface BuiltSection {
  name: string;
  content: Buffer;
  executable?: boolean;
  /** Offset, symbol name, type (R_X86_64_PLT32 without one) and addend. */
  relocations?: readonly (readonly [offset: number, symbol: string, addend: number, type?: number])[];
}

export interface BuiltSymbol {
  name: string;
  /** Section by name; without one the symbol is another file's. */
  section?: string;
  value?: number;
  size?: number;
  /** 2: function, 3: section. */
  type?: number;
}

const PLT32 = 4;

export function buildElf(parts: readonly BuiltSection[], symbols: readonly BuiltSymbol[]): Buffer {
  const strings = stringTable(["", ...symbols.map(({ name }) => name)]);
  const symbolIndex = (name: string) => 1 + symbols.findIndex((symbol) => symbol.name === name);
  const sections = parts.map(({ name, content, executable }) => ({
    name,
    type: name.startsWith(".note") ? 7 : 1,
    flags: executable ? 6 : 2,
    content,
    info: 0,
    link: 0,
  }));
  const symbolTable = sections.length + 1;
  const sectionIndex = (name: string) => 1 + sections.findIndex((section) => section.name === name);
  const table = Buffer.alloc(24 * (symbols.length + 1));
  for (const [index, symbol] of symbols.entries()) {
    const at = 24 * (index + 1);
    table.writeUInt32LE(strings.at(symbol.name), at);
    table[at + 4] = 0x10 | (symbol.type ?? 2);
    table.writeUInt16LE(symbol.section === undefined ? 0 : sectionIndex(symbol.section), at + 6);
    table.writeBigUInt64LE(BigInt(symbol.value ?? 0), at + 8);
    table.writeBigUInt64LE(BigInt(symbol.size ?? 0), at + 16);
  }
  const relocations = parts.flatMap(({ name, relocations: list }, index) => {
    if (list === undefined) return [];
    const content = Buffer.alloc(24 * list.length);
    for (const [row, [offset, symbol, addend, type]] of list.entries()) {
      content.writeBigUInt64LE(BigInt(offset), row * 24);
      content.writeUInt32LE(type ?? PLT32, row * 24 + 8);
      content.writeUInt32LE(symbolIndex(symbol), row * 24 + 12);
      content.writeBigInt64LE(BigInt(addend), row * 24 + 16);
    }
    return [{ name: `.rela${name}`, type: 4, flags: 0, content, info: index + 1, link: symbolTable }];
  });
  const all = [
    ...sections,
    { name: ".symtab", type: 2, flags: 0, content: table, info: 0, link: symbolTable + 1 },
    { name: ".strtab", type: 3, flags: 0, content: strings.bytes, info: 0, link: 0 },
    ...relocations,
  ];
  const names = stringTable(["", ...all.map(({ name }) => name), ".shstrtab"]);
  all.push({ name: ".shstrtab", type: 3, flags: 0, content: names.bytes, info: 0, link: 0 });
  let offset = 64;
  const headers = all.map((section) => {
    const header = Buffer.alloc(64);
    header.writeUInt32LE(names.at(section.name), 0);
    header.writeUInt32LE(section.type, 4);
    header.writeBigUInt64LE(BigInt(section.flags), 8);
    header.writeBigUInt64LE(BigInt(offset), 24);
    header.writeBigUInt64LE(BigInt(section.content.length), 32);
    header.writeUInt32LE(section.link, 40);
    header.writeUInt32LE(section.info, 44);
    offset += section.content.length;
    return header;
  });
  const head = Buffer.alloc(64);
  head.write("7f454c4602010100", "hex");
  head.writeUInt16LE(1, 16);
  head.writeUInt16LE(62, 18);
  head.writeBigUInt64LE(BigInt(offset), 40);
  head.writeUInt16LE(all.length + 1, 60);
  head.writeUInt16LE(all.length, 62);
  return Buffer.concat([head, ...all.map(({ content }) => content), Buffer.alloc(64), ...headers]);
}

function stringTable(texts: readonly string[]): { bytes: Buffer; at(text: string): number } {
  const places = new Map<string, number>();
  let joined = "";
  for (const text of texts) {
    if (places.has(text)) continue;
    places.set(text, joined.length);
    joined += `${text}\0`;
  }
  return { bytes: Buffer.from(joined, "latin1"), at: (text) => places.get(text) as number };
}
