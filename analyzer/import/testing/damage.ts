/** Random damage to a file, and what must hold for every importer that reads it. */

import fc from "fast-check";
import { expect } from "vitest";
import { type Importer, UnreadableInput } from "../trace-event.js";
import { memoryInput } from "./memory-input.js";

/** Most processor time (ms) that a damaged file of a few megabytes may take; a sound one takes a tenth. */
const LONGEST = 5000;

/** Copies of `file` with some bytes changed, some 64-bit words set to extremes, or the end cut off. */
export function damaged(file: Buffer): fc.Arbitrary<Buffer> {
  const offset = fc.nat(file.length - 1);
  const flip = fc.record({ offset, value: fc.integer({ min: 1, max: 255 }) });
  const word = fc.record({ offset, value: fc.constantFrom(0n, 1n, 0x7fffffffn, 0xffffffffn, 0xffffffffffffffffn) });
  return fc
    .record({
      flips: fc.array(flip, { maxLength: 6 }),
      words: fc.array(word, { maxLength: 2 }),
      size: fc.option(offset, { nil: file.length, freq: 3 }),
    })
    .map(({ flips, words, size }) => {
      const copy = Buffer.from(file);
      for (const { offset: at, value } of flips) copy[at]! ^= value;
      for (const { offset: at, value } of words) if (at + 8 <= copy.length) copy.writeBigUInt64LE(value, at);
      return copy.subarray(0, size);
    });
}

/** Reads all of it; only UnreadableInput may be thrown, with one line. */
export async function readsOrRefuses(importer: Importer, file: Buffer): Promise<void> {
  const start = process.cpuUsage();
  try {
    const reader = await importer.open(memoryInput(file));
    let events = 0;
    for await (const batch of reader.read(() => true)) events += batch.length;
    expect(reader.facts.eventCount).toBeGreaterThanOrEqual(0);
    expect(events).toBeGreaterThanOrEqual(0);
    void reader.facts.symbols;
  } catch (error) {
    if (!(error instanceof UnreadableInput)) throw error;
    expect(error.message).not.toContain("\n");
  }
  const { user, system } = process.cpuUsage(start);
  expect((user + system) / 1000).toBeLessThan(LONGEST);
}
