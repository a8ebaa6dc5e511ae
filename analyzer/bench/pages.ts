/** Ring-buffer pages taken apart: which records they hold, and full pages of only some of them. */

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

/** Those records of which `keeps` says so by their event id, at their times, in pages that are full but for the last. */
export function filterPages(pages: Buffer, keeps: (id: number) => boolean): Buffer {
  const { pageSize, dataOffset } = LAYOUT;
  const written: Buffer[] = [];
  let page = Buffer.alloc(0);
  let end: number = pageSize;
  let last = 0n;
  const commit = () => page.length > 0 && page.writeBigUInt64LE(BigInt(end - dataOffset), 8);
  for (const { start, end: behind, time } of recordsOf(pages)) {
    if (!keeps(pages.readUInt16LE(start))) continue;
    const words = (behind - start + 3) >>> 2;
    const isLong = words > LONGEST_SHORT;
    if (end + 8 + (isLong ? 8 : 4) + words * 4 > pageSize) {
      commit();
      page = Buffer.alloc(pageSize);
      page.writeBigUInt64LE(time);
      written.push(page);
      end = dataOffset;
      last = time;
    }
    const delta = Number(time - last);
    if (delta >= DELTA_END) {
      end = page.writeUInt32LE((delta % DELTA_END) * 32 + TIME_EXTEND, end);
      end = page.writeUInt32LE(Math.floor(delta / DELTA_END), end);
    }
    end = page.writeUInt32LE((delta < DELTA_END ? delta * 32 : 0) + (isLong ? 0 : words), end);
    if (isLong) end = page.writeUInt32LE(4 + words * 4, end);
    end += pages.copy(page, end, start, start + words * 4);
    last = time;
  }
  commit();
  return Buffer.concat(written);
}

function* recordsOf(pages: Buffer): Generator<{ start: number; end: number; time: bigint }> {
  const walker = new PageWalker(LAYOUT, makeChunk(pages, true));
  for (const page of stampsOf(pages)) {
    walker.enterPage(page);
    while (walker.next()) {
      yield { start: walker.start, end: walker.end, time: walker.time };
    }
  }
}
