/** Structures in a made-up memory, whole and half-changed. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readBtf } from "../kernel/btf.js";
import { BtfBuilder } from "../kernel/testing/btf-builder.js";
import type { Memory } from "./kernel-memory.js";
import { Walker } from "./walk.js";

/** struct list_head { next, prev }; struct thing { int id; char *name; struct list_head link; struct owner *owner; } */
function types(): Buffer {
  const builder = new BtfBuilder();
  const int = builder.int("int", 4);
  const char = builder.int("char", 1);
  const text = builder.pointer(char);
  const any = builder.pointer(0);
  const head = builder.struct("list_head", 16, [
    ["next", any, 0],
    ["prev", any, 8],
  ]);
  const owner = builder.struct("owner", 8, [["uid", int, 4]]);
  builder.struct("thing", 40, [
    ["id", int, 0],
    ["name", text, 8],
    ["link", head, 16],
    ["owner", builder.pointer(owner), 32],
  ]);
  builder.struct("xarray", 16, [["xa_head", any, 8]]);
  builder.struct("xa_node", 48, [["slots", builder.array(any, 4), 16]]);
  return builder.build();
}

class FakeMemory implements Memory {
  readonly bytes = Buffer.alloc(0x2000);
  static readonly BASE = 0xffff888000000000n;

  read(address: bigint, length: number): Buffer | null {
    const at = address - FakeMemory.BASE;
    if (at < 0n || at + BigInt(length) > BigInt(this.bytes.length)) return null;
    return this.bytes.subarray(Number(at), Number(at) + length);
  }

  close(): void {}

  word(offset: number, value: bigint): void {
    this.bytes.writeBigUInt64LE(value, offset);
  }
}

const at = (offset: number) => FakeMemory.BASE + BigInt(offset);
const HEAD = 0x10;
const THINGS = [0x100, 0x200, 0x300];

/** Three things on a list. */
function world(): { memory: FakeMemory; walker: Walker; complaints: string[] } {
  const memory = new FakeMemory();
  const ring = [HEAD, ...THINGS.map((thing) => thing + 16)];
  for (const [index, place] of ring.entries()) {
    memory.word(place, at(ring[(index + 1) % ring.length] as number));
    memory.word(place + 8, at(ring[(index + ring.length - 1) % ring.length] as number));
  }
  for (const [index, thing] of THINGS.entries()) {
    memory.bytes.writeInt32LE(index - 1, thing);
    memory.word(thing + 8, at(0x1000 + index * 16));
    memory.bytes.write(`thing${index}\0`, 0x1000 + index * 16);
  }
  memory.word(THINGS[0]! + 32, at(0x400));
  memory.bytes.writeInt32LE(1000, 0x404);
  const complaints: string[] = [];
  return {
    memory,
    walker: new Walker(memory, readBtf(types(), "made-up"), (text) => complaints.push(text)),
    complaints,
  };
}

describe("values", () => {
  it("are read by the first path that exists, pointers followed", () => {
    const { walker } = world();
    expect(walker.value("thing", at(0x100), ["old_id", "id"])).toBe(-1);
    expect(walker.value("thing", at(0x200), ["name"])).toBe("thing1");
    expect(walker.value("thing", at(0x100), ["owner->uid"])).toBe(1000);
    expect(walker.value("thing", at(0x200), ["owner->uid"])).toBeNull();
    expect(walker.value("thing", at(0x100), ["nothing"])).toBeNull();
    expect(walker.value("thing", 0n, ["id"])).toBeNull();
  });
});

describe("lists", () => {
  it("are walked to their end", () => {
    const { walker, complaints } = world();
    expect(walker.isList(at(HEAD))).toBe(true);
    expect(walker.list(at(HEAD), "thing", "link", "things")).toEqual(THINGS.map(at));
    expect(complaints).toEqual([]);
  });

  it("that turn in a circle are told to be broken", () => {
    const { walker, memory, complaints } = world();
    memory.word(THINGS[2]! + 16, at(THINGS[1]! + 16));
    expect(walker.list(at(HEAD), "thing", "link", "things")).toEqual(THINGS.map(at));
    expect(complaints).toEqual(["things: the list is broken after 3 entries; it changed while it was read"]);
  });

  it("that lead into nothing give what came before", () => {
    const { walker, memory, complaints } = world();
    memory.word(THINGS[0]! + 16, 0xdead000000000100n);
    expect(walker.list(at(HEAD), "thing", "link", "things")).toHaveLength(2);
    expect(complaints[0]).toContain("memory that is not mapped");
  });

  it("end whatever stands in the memory", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(0x3ff), fc.nat(0x3ff)), { maxLength: 40 }), (changes) => {
        const { walker, memory } = world();
        for (const [place, target] of changes) memory.word(place * 8, at(target * 8));
        expect(walker.list(at(HEAD), "thing", "link", "things").length).toBeLessThan(2000);
        expect(walker.xarray(at(0x500), "array").length).toBeLessThan(100_001);
      }),
    );
  });
});

describe("xarrays", () => {
  it("have one entry, or nodes; values and marks are no pointers", () => {
    const { walker, memory } = world();
    memory.word(0x508, at(0x100));
    expect(walker.xarray(at(0x500), "array")).toEqual([at(0x100)]);
    memory.word(0x508, at(0x600) + 2n);
    memory.word(0x610, at(0x200));
    memory.word(0x618, at(0x700) + 2n);
    memory.word(0x620, 5n);
    memory.word(0x628, 258n);
    memory.word(0x718, at(0x300));
    expect(walker.xarray(at(0x500), "array")).toEqual([at(0x200), at(0x300)]);
  });
});
