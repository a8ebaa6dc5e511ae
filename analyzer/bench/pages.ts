/** Ring-buffer pages taken apart: which records they hold, and the same pages with only some of them. */

import { makeChunk, PageWalker } from "../import/ring-buffer.js";

/** The usual page of a 64-bit machine. */
const LAYOUT = { pageSize: 4096, dataOffset: 16, longSize: 8, littleEndian: true } as const;
const TIME_EXTEND = 30;
/** Words of the longest record that has its length in its first word. */
const LONGEST_SHORT = 28;
const DELTA_END = 2 ** 27;

export interface PagesFacts {
  records: number;
  first: bigint;
  last: bigint;
}

/** What some pages hold; null when they are empty. */
export function factsOf(pages: Buffer): PagesFacts | null {
  let facts: PagesFacts | null = null;
  for (const { time } of recordsOf(pages)) {
    facts ??= { records: 0, first: time, last: time };
    facts.records++;
    facts.last = time;
  }
  return facts;
}

/** Where each page's time stamp is. */
export function stampsOf(pages: Buffer): number[] {
  return Array.from({ length: pages.length / LAYOUT.pageSize }, (_, page) => page * LAYOUT.pageSize);
}

/** The pages with only those records of which `keeps` says so by their event id, at their times. */
export function filterPages(pages: Buffer, keeps: (id: number) => boolean): Buffer {
  const { pageSize, dataOffset } = LAYOUT;
  const result = Buffer.alloc(pages.length);
  const ends = stampsOf(pages).map((page) => page + dataOffset);
  const times = stampsOf(pages).map((page) => pages.readBigUInt64LE(page));
  for (const { start, end, time } of recordsOf(pages)) {
    if (!keeps(pages.readUInt16LE(start))) continue;
    const page = Math.floor(start / pageSize);
    const delta = Number(time - times[page]!);
    const words = (end - start + 3) >>> 2;
    const isLong = words > LONGEST_SHORT;
    let at = ends[page]!;
    if (delta >= DELTA_END) {
      at = result.writeUInt32LE((delta % DELTA_END) * 32 + TIME_EXTEND, at);
      at = result.writeUInt32LE(Math.floor(delta / DELTA_END), at);
    }
    at = result.writeUInt32LE((delta < DELTA_END ? delta * 32 : 0) + (isLong ? 0 : words), at);
    if (isLong) at = result.writeUInt32LE(4 + words * 4, at);
    ends[page] = at + pages.copy(result, at, start, start + words * 4);
    times[page] = time;
  }
  for (const [page, end] of ends.entries()) {
    const stamp = page * pageSize;
    result.writeBigUInt64LE(pages.readBigUInt64LE(stamp), stamp);
    result.writeBigUInt64LE(BigInt(end - stamp - dataOffset), stamp + 8);
  }
  return result;
}

function* recordsOf(pages: Buffer): Generator<{ start: number; end: number; time: bigint }> {
  const walker = new PageWalker(LAYOUT, makeChunk(pages, true));
  for (const page of stampsOf(pages)) {
    walker.enterPage(page);
    while (walker.next()) {
      yield { start: walker.start, end: walker.end, time: walker.base + BigInt(walker.delta) };
    }
  }
}
