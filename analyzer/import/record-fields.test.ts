import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Field, parseEventFormat } from "./event-format.js";
import { type RecordBytes, readAddress, readValue, TextTable } from "./record-fields.js";

function record(bytes: Buffer, start = 0, littleEndian = true): RecordBytes {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return { bytes, view, littleEndian, start, end: bytes.length, texts: new TextTable() };
}

function field(changes: Partial<Field>): Field {
  return { name: "x", offset: 0, size: 4, signed: false, place: "here", content: "integer", ...changes };
}

describe("integers", () => {
  const ones = record(Buffer.alloc(8, 0xff));

  it.each([1, 2, 4, 8])("of %i bytes are signed only if the format says so", (size) => {
    expect(readValue(ones, field({ size, signed: true }))).toBe(-1n);
    expect(readValue(ones, field({ size }))).toBe((1n << BigInt(8 * size)) - 1n);
  });

  it("keep all 64 bits", () => {
    const bytes = Buffer.from("0123456789abcdef", "hex");
    expect(readValue(record(bytes, 0, false), field({ size: 8 }))).toBe(0x0123456789abcdefn);
    expect(readValue(record(bytes), field({ size: 8 }))).toBe(0xefcdab8967452301n);
  });

  it("that make addresses are unsigned", () => {
    expect(readAddress(ones, field({ size: 8, signed: true }))).toBe(0xffffffffffffffffn);
    expect(readAddress(record(Buffer.alloc(4)), field({ size: 8 }))).toBeNull();
  });
});

describe("texts", () => {
  it("end at NUL, at their array's end, or at the record's", () => {
    const bytes = record(Buffer.from("abc\0def"));
    expect(readValue(bytes, field({ content: "text", size: 7 }))).toBe("abc");
    expect(readValue(bytes, field({ content: "text", size: 2 }))).toBe("ab");
    expect(readValue(bytes, field({ content: "text", size: 0, offset: 4 }))).toBe("def");
  });

  it("are read leniently", () => {
    expect(readValue(record(Buffer.from("\u00e4\xff", "latin1")), field({ content: "text", size: 2 }))).toBe(
      "\ufffd\ufffd",
    );
    expect(readValue(record(Buffer.from("kä")), field({ content: "text", size: 3 }))).toBe("kä");
  });

  it("that could not be read are null", () => {
    expect(readValue(record(Buffer.from("(fault)\0")), field({ content: "text", size: 8 }))).toBeNull();
  });
});

it("never reads beyond the record, whatever the format says", () => {
  const number = fc.oneof(fc.nat(24), fc.constantFrom(0, 0xffff, 0xffffffff, Number.MAX_SAFE_INTEGER));
  const type = fc.constantFrom("int", "char", "__data_loc char[]", "__rel_loc u8[]", "unsigned long");
  const name = fc.constantFrom("x", "x[4]", "__probe_ip", "__probe_func", "__probe_ret_ip", "size");
  const declared = fc.tuple(type, name, number, number);
  fc.assert(
    fc.property(
      fc.array(declared, { minLength: 1 }),
      fc.uint8Array({ maxLength: 24 }),
      fc.nat(24),
      (fields, bytes, start) => {
        const lines = fields.map(
          ([kind, called, at, size]) => `\tfield:${kind} ${called};\toffset:${at};\tsize:${size};\n`,
        );
        const format = parseEventFormat(`name: a\nID: 1\nformat:\n${lines.join("")}`, "test");
        const target = record(Buffer.from(bytes), Math.min(start, bytes.length));
        for (const one of format?.fields ?? []) readValue(target, one);
        if (format?.address) readAddress(target, format.address);
        if (format?.returnAddress) readAddress(target, format.returnAddress);
      },
    ),
    { numRuns: 2000 },
  );
});
