/** Builds event formats, records and ring-buffer pages for tests. */

import { ByteWriter } from "./byte-writer.js";

export interface Machine {
  littleEndian: boolean;
  longSize: 4 | 8;
  pageSize: number;
}

export interface BuiltField {
  /** In C, as format files have it: `unsigned long __probe_ip`, `__data_loc char[] name`, `char comm[16]`. */
  declaration: string;
  /** Bytes; 0 for a trailing array of longs. */
  size: number | "long";
  signed?: boolean;
}

export interface BuiltFormat {
  system: string;
  name: string;
  id: number;
  fields: BuiltField[];
}

export interface BuiltRecord {
  format: BuiltFormat;
  /** Clock units since the entry before, or since the page's time. */
  delta?: number;
  tid?: number;
  flags?: number;
  /** One for each field. */
  values: (bigint | string | Buffer | bigint[])[];
}

export interface BuiltPage {
  time: bigint;
  /** Records, or the words of other entries (time stamps, padding). */
  records: (BuiltRecord | number[])[];
  /** Events lost before the page; "some" when nobody counted. */
  missed?: number | "some";
}

const COMMON: BuiltField[] = [
  { declaration: "unsigned short common_type", size: 2 },
  { declaration: "unsigned char common_flags", size: 1 },
  { declaration: "unsigned char common_preempt_count", size: 1 },
  { declaration: "int common_pid", size: 4, signed: true },
];

interface PlacedField extends BuiltField {
  offset: number;
  bytes: number;
}

function place(format: BuiltFormat, { longSize }: Machine): PlacedField[] {
  let end = 0;
  return [...COMMON, ...format.fields].map((field) => {
    const bytes = field.size === "long" ? longSize : field.size;
    const alignment = bytes === 0 ? longSize : [1, 2, 4, 8].includes(bytes) ? bytes : 1;
    const offset = Math.ceil(end / alignment) * alignment;
    end = offset + bytes;
    return { ...field, offset, bytes };
  });
}

export function formatText(format: BuiltFormat, machine: Machine): string {
  const lines = place(format, machine).map(
    ({ declaration, offset, bytes, signed }) =>
      `\tfield:${declaration};\toffset:${offset};\tsize:${bytes};\tsigned:${signed ? 1 : 0};`,
  );
  lines.splice(COMMON.length, 0, "");
  return `name: ${format.name}\nID: ${format.id}\nformat:\n${lines.join("\n")}\n\nprint fmt: "x"\n`;
}

export function headerPageText({ longSize, pageSize }: Machine): string {
  return [
    "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;",
    `\tfield: local_t commit;\toffset:8;\tsize:${longSize};\tsigned:1;`,
    "\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;",
    `\tfield: char data;\toffset:${8 + longSize};\tsize:${pageSize - 8 - longSize};\tsigned:1;\n`,
  ].join("\n");
}

/** The entry's header word. */
export function entryWord(type: number, delta: number, { littleEndian }: Machine): number {
  return (littleEndian ? (delta << 5) | type : (type << 27) | delta) >>> 0;
}

export function buildRecord(record: BuiltRecord, machine: Machine): Buffer {
  const fields = place(record.format, machine);
  const values = [BigInt(record.format.id), BigInt(record.flags ?? 0), 0n, BigInt(record.tid ?? 1), ...record.values];
  const fixed = new ByteWriter(machine.littleEndian);
  const dynamic: Buffer[] = [];
  let dynamicStart = Math.max(...fields.map(({ offset, bytes }) => offset + bytes));
  fields.forEach((field, index) => {
    const value = values[index]!;
    fixed.bytes(Buffer.alloc(field.offset - fixed.position));
    if (Array.isArray(value)) {
      for (const item of value) fixed.integer(item, machine.longSize);
    } else if (typeof value === "bigint") fixed.integer(value, field.bytes);
    else {
      const bytes = Buffer.isBuffer(value) ? value : Buffer.from(`${value}\0`);
      if (!/^__(data|rel)_loc/.test(field.declaration)) {
        const padding = Buffer.alloc(Math.max(0, field.bytes - bytes.length));
        fixed.bytes(Buffer.concat([bytes, padding]));
      } else {
        const from = field.declaration.startsWith("__rel") ? field.offset + 4 : 0;
        fixed.u32(((bytes.length << 16) | (dynamicStart - from)) >>> 0);
        dynamic.push(bytes);
        dynamicStart += bytes.length;
      }
    }
  });
  return Buffer.concat([fixed.toBuffer(), ...dynamic]);
}

export function buildPage(page: BuiltPage, machine: Machine): Buffer {
  const { littleEndian, longSize, pageSize } = machine;
  const data = new ByteWriter(littleEndian);
  for (const record of page.records) {
    if (Array.isArray(record)) {
      for (const word of record) data.u32(word);
      continue;
    }
    const bytes = buildRecord(record, machine);
    const words = Math.ceil(bytes.length / 4);
    data.u32(entryWord(words <= 28 ? words : 0, record.delta ?? 0, machine));
    if (words > 28) data.u32(bytes.length + 4);
    data.bytes(bytes).align(4);
  }
  const { missed } = page;
  let flags = missed === undefined ? 0 : 0x80000000;
  if (typeof missed === "number") flags += 0x40000000;
  const writer = new ByteWriter(littleEndian).u64(page.time);
  writer.integer(BigInt(data.position + flags), longSize).bytes(data.toBuffer());
  if (typeof missed === "number") writer.integer(BigInt(missed), longSize);
  if (writer.position > pageSize) throw new Error(`a page of ${writer.position} bytes`);
  return writer.align(pageSize).toBuffer();
}
