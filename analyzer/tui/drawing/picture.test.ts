import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { beside, framed, inColumns, line, lineWidth, plain, span, spread, wrapped } from "./picture.js";
import { shown, widthOf } from "./width.js";

const texts = fc.string({ unit: "binary", maxLength: 40 });

describe("a line", () => {
  it("takes exactly the columns it is given, whatever is in it", () => {
    fc.assert(
      fc.property(fc.array(texts, { maxLength: 4 }), fc.integer({ min: 0, max: 60 }), (parts, columns) => {
        expect(lineWidth(inColumns(line(...parts), columns))).toBe(columns);
      }),
    );
  });

  it("says where it was cut", () => {
    expect(plain([inColumns(line("kvm_device_ops"), 8)])).toBe("kvm_dev…");
    expect(plain([inColumns(line("kvm"), 8)])).toBe("kvm");
  });

  it("never cuts a wide character in two", () => {
    expect(plain([inColumns(line("日本語"), 4)])).toBe("日…");
    expect(widthOf("日本語")).toBe(6);
  });

  it("keeps what is on the right", () => {
    expect(plain([spread(line("a long left side"), line("right"), 12)])).toBe("a long…right");
  });
});

describe("hostile text", () => {
  it("holds nothing that a terminal acts on", () => {
    fc.assert(
      fc.property(texts, (text) => !/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e]/.test(shown(text))),
    );
    expect(span("\u001b]0;pwned\u0007").text).toBe("\\e]0;pwned\\x07");
  });

  it("does not change the character before it", () => {
    expect(shown("e\u0301")).toBe("e\\u301");
  });
});

it("a box has the size it is given, with or without room for its note", () => {
  fc.assert(
    fc.property(
      texts,
      texts,
      fc.integer({ min: 4, max: 60 }),
      fc.integer({ min: 2, max: 10 }),
      (title, note, columns, rows) => {
        const box = framed({ title: line(title), note: line(note) }, [line(note), line(title)], { columns, rows });
        expect(box.map(lineWidth)).toEqual(Array(rows).fill(columns));
      },
    ),
  );
});

it("blocks stand side by side", () => {
  expect(plain(beside({ lines: [line("a")], columns: 3 }, { lines: [line("b"), line("c")], columns: 3 }))).toBe(
    "a  b\n   c",
  );
});

it("text wraps at spaces", () => {
  expect(plain(wrapped("every get has a put", 10))).toBe("every get\nhas a put");
});
