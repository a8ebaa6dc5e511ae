import { describe, expect, it } from "vitest";
import { makeChunk, PageWalker } from "./ring-buffer.js";
import { KVM_PUT, kvmPut, PUT } from "./testing/example-trace.js";
import { type BuiltPage, buildPage, entryWord, type Machine } from "./testing/ring-buffer-builder.js";

const MACHINES: [string, Machine][] = [
  ["little-endian, 64 bits", { littleEndian: true, longSize: 8, pageSize: 4096 }],
  ["little-endian, 32 bits", { littleEndian: true, longSize: 4, pageSize: 4096 }],
  ["big-endian, 64 bits", { littleEndian: false, longSize: 8, pageSize: 8192 }],
  ["big-endian, 32 bits", { littleEndian: false, longSize: 4, pageSize: 4096 }],
];

function walk(bytes: Buffer, machine: Machine, offset = 0) {
  const layout = { ...machine, dataOffset: 8 + machine.longSize };
  const walker = new PageWalker(layout, makeChunk(bytes, machine.littleEndian));
  walker.enterPage(offset);
  const { missed } = walker;
  const times: bigint[] = [];
  while (walker.next()) times.push(walker.time);
  return { times, missed, damage: walker.damage };
}

describe.each(MACHINES)("%s", (_, machine) => {
  const page = (records: BuiltPage["records"], missed?: BuiltPage["missed"]) =>
    buildPage({ time: 1000n, records, ...(missed === undefined ? {} : { missed }) }, machine);
  const word = (type: number, delta: number) => entryWord(type, delta, machine);

  it("adds up deltas", () => {
    expect(walk(page([kvmPut(5, 1n), kvmPut(0, 1n), kvmPut(7, 1n)]), machine).times).toEqual([1005n, 1005n, 1012n]);
  });

  it("extends times beyond 27 bits", () => {
    // 2^27 * 3 + 9 after the page's time, then a second extension that no double could hold exactly.
    const records = [[word(30, 9), 3], kvmPut(1, 1n), [word(30, 1), 0xffffffff], kvmPut(1, 1n)];
    const first = 1000n + (3n << 27n) + 9n + 1n;
    expect(walk(page(records), machine).times).toEqual([first, first + (0xffffffffn << 27n) + 1n + 1n]);
  });

  it("takes absolute times, whose highest bits are those before", () => {
    const high = 0x30n << 56n;
    const bytes = buildPage({ time: high + 5n, records: [[word(31, 77), 2], kvmPut(1, 1n)] }, machine);
    expect(walk(bytes, machine).times).toEqual([high + (2n << 27n) + 77n + 1n]);
  });

  it("skips discarded records, and counts their time", () => {
    expect(walk(page([[word(29, 4), 12, 0, 0], kvmPut(1, 1n)]), machine).times).toEqual([1005n]);
  });

  it("ends at the padding that fills the page", () => {
    expect(walk(page([kvmPut(1, 1n), [word(29, 0), 0], kvmPut(1, 1n)]), machine).times).toEqual([1001n]);
  });

  it("reads records longer than 112 bytes", () => {
    expect(walk(page([kvmPut(1, 1n, 0n, "x".repeat(301)), kvmPut(1, 1n)]), machine).times).toEqual([1001n, 1002n]);
  });

  it("tells how many events were missed before", () => {
    expect(walk(page([kvmPut(1, 1n)]), machine).missed).toBe(0);
    expect(walk(page([kvmPut(1, 1n)], 77), machine).missed).toBe(77);
    expect(walk(page([kvmPut(1, 1n)], "some"), machine).missed).toBe(-1);
  });

  it("gives the records of a cut page up to the cut", () => {
    const bytes = page([kvmPut(1, 1n), kvmPut(1, 1n), kvmPut(1, 1n)]);
    const { times, damage } = walk(bytes.subarray(0, 90), machine);
    expect(times).toEqual([1001n]);
    expect(damage).toBe("the page is cut");
  });

  it("refuses a page that claims more than it has", () => {
    const bytes = page([kvmPut(1, 1n)]);
    bytes.fill(0x01, 8, 8 + machine.longSize);
    expect(walk(bytes, machine)).toMatchObject({ times: [], damage: expect.stringContaining("claims") });
  });

  it("stops at a record that runs out of the page", () => {
    expect(walk(page([kvmPut(1, 1n), [word(28, 1), 0]]), machine)).toMatchObject({
      times: [1001n],
      damage: expect.stringContaining("runs over"),
    });
    expect(walk(page([[word(0, 1), 2]]), machine).damage).toContain("runs over");
    expect(walk(page([[word(0, 1), 0xffffffff]]), machine).damage).toContain("runs over");
  });

  it("reads from unaligned memory", () => {
    const bytes = page([kvmPut(5, 1n)]);
    const shifted = Buffer.concat([Buffer.alloc(1), bytes]).subarray(1);
    expect(walk(shifted, machine).times).toEqual([1005n]);
  });
});

it("places the payload", () => {
  const machine: Machine = { littleEndian: true, longSize: 8, pageSize: 4096 };
  const bytes = buildPage({ time: 0n, records: [kvmPut(1, 1n)] }, machine);
  const walker = new PageWalker({ ...machine, dataOffset: 16 }, makeChunk(bytes, true));
  walker.enterPage(0);
  walker.next();
  expect(bytes.readUInt16LE(walker.start)).toBe(KVM_PUT.id);
  expect(bytes.readBigUInt64LE(walker.start + 8)).toBe(PUT);
});
