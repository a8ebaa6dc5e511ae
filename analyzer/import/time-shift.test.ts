import { expect, test } from "vitest";
import { ByteWriter } from "./testing/byte-writer.js";
import { readTimeShift, shiftOf } from "./time-shift.js";
import { ByteReader, bufferBytes } from "./trace-dat-bytes.js";

/** Samples of one CPU: time, offset, scaling, fraction. */
function shift(samples: [bigint, bigint, bigint, bigint][], flags = 0) {
  const writer = new ByteWriter(true).u64(7).u32(flags).u32(1).u32(samples.length);
  for (const column of [0, 1, 2, 3] as const) for (const sample of samples) writer.u64(sample[column]);
  const bytes = writer.toBuffer();
  return readTimeShift(new ByteReader(bufferBytes(bytes), true));
}

test("one sample moves all times", () => {
  const toHost = shiftOf(shift([[100n, -5n, 3n, 0n]]), 0);
  expect(toHost?.(1000n)).toBe(995n);
});

test("between samples the earlier one holds, outside the nearest pair", () => {
  const toHost = shiftOf(
    shift([
      [100n, 10n, 2n, 1n],
      [200n, 20n, 2n, 1n],
      [300n, 30n, 4n, 1n],
    ]),
    0,
  )!;
  expect([50n, 150n, 250n, 999n, 120n].map(toHost)).toEqual([60n, 160n, 270n, 1019n, 130n]);
});

test("or the offset lies on the line between them", () => {
  const toHost = shiftOf(
    shift(
      [
        [0n, 0n, 1n, 0n],
        [100n, 50n, 1n, 0n],
      ],
      1,
    ),
    0,
  )!;
  expect([0n, 50n, 99n].map(toHost)).toEqual([0n, 75n, 149n]);
});

test("samples come in any order, and twice", () => {
  const samples: [bigint, bigint, bigint, bigint][] = [
    [200n, 20n, 1n, 0n],
    [100n, 10n, 1n, 0n],
    [200n, 20n, 1n, 0n],
  ];
  expect(shift(samples).cpus[0]?.map(({ time }) => time)).toEqual([100n, 200n]);
});

test("a CPU that was not measured has none", () => {
  expect(shiftOf(shift([[1n, 1n, 1n, 0n]]), 3)).toBeNull();
});

test("a count that cannot be is damage", () => {
  const bytes = new ByteWriter(true).u64(7).u32(0).u32(1).u32(0xffffff).toBuffer();
  expect(() => readTimeShift(new ByteReader(bufferBytes(bytes), true))).toThrow("time shifts");
});
