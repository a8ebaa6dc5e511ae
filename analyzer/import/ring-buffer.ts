/**
 * Records of ring-buffer pages, as the kernel's tracer writes them and trace.dat stores them.
 * Source: kernel/trace/ring_buffer.c (struct buffer_data_page, rb_event_length()), libtraceevent's kbuffer-parse.c.
 */

import { endianness } from "node:os";
import type { PageHeader } from "./event-format.js";

export interface PageLayout extends PageHeader {
  /** Bytes of a page, or of a sub-buffer where those are larger. */
  pageSize: number;
  littleEndian: boolean;
}

/** Several whole pages (the last may be cut), read or decompressed at once. */
export interface Chunk {
  bytes: Buffer;
  view: DataView;
  /** The same bytes as 32-bit words of this machine's byte order: record headers are read from here. */
  words: Uint32Array;
}

const HOST_IS_LITTLE_ENDIAN = endianness() === "LE";

export function makeChunk(bytes: Buffer, littleEndian: boolean): Chunk {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const wholeWords = bytes.length & ~3;
  const isUsableAsIs = littleEndian === HOST_IS_LITTLE_ENDIAN && bytes.byteOffset % 4 === 0;
  if (isUsableAsIs) return { bytes, view, words: new Uint32Array(bytes.buffer, bytes.byteOffset, wholeWords / 4) };
  const copy = Buffer.from(new Uint8Array(bytes.subarray(0, wholeWords)).buffer);
  if (littleEndian !== HOST_IS_LITTLE_ENDIAN) copy.swap32();
  return { bytes, view, words: new Uint32Array(copy.buffer) };
}

const COMMIT_MASK = 0x7ffffff;
const MISSED_EVENTS = 0x80000000;
const MISSED_STORED = 0x40000000;

const DATA_TYPE_MAX = 28;
const PADDING = 29;
const TIME_EXTEND = 30;

/** High half of an absolute time stamp: bits that records cannot hold are taken from the time before. */
const ABSOLUTE_HIGH_BITS = 0xf8000000;

const TWO_32 = 2 ** 32;
/** Where two halves become one number, without a bigint in between. */
const HALVES = new Uint32Array(2);
const WHOLE = new BigUint64Array(HALVES.buffer);
const [LOW, HIGH] = HOST_IS_LITTLE_ENDIAN ? [0, 1] : [1, 0];

/**
 * Walks the records of a page; `enterPage` and `next` leave what they found in the fields, so that walking makes no
 * objects; nor are times bigints until somebody asks.
 */
export class PageWalker {
  /** Raw clock units: the page's time stamp in halves, moved on by extended and absolute stamps. */
  private baseLow = 0;
  private baseHigh = 0;
  /** Raw clock units since then; exact, because what could exceed 2^53 goes into the base. */
  private delta = 0;
  /** Payload of the current record: offsets in the chunk's bytes. `end` is padded to four bytes. */
  start = 0;
  end = 0;
  /** Events lost right before the page's first record; -1 when nobody counted, 0 when none were. */
  missed = 0;
  /** Why the page could not be walked to its end; null when all is well. */
  damage: string | null = null;

  private words: Uint32Array;
  private readonly littleEndian: boolean;
  /** Bytes; where the next record header is, and where the committed data ends. */
  private position = 0;
  private limit = 0;

  constructor(
    private readonly layout: PageLayout,
    private chunk: Chunk,
  ) {
    this.words = chunk.words;
    this.littleEndian = layout.littleEndian;
  }

  setChunk(chunk: Chunk): void {
    this.chunk = chunk;
    this.words = chunk.words;
  }

  /** Time of the current record, in raw clock units. */
  get time(): bigint {
    const low = this.baseLow + this.delta;
    HALVES[LOW] = low;
    HALVES[HIGH] = low < TWO_32 ? this.baseHigh : this.baseHigh + Math.floor(low / TWO_32);
    return WHOLE[0]!;
  }

  /** Begins the page at byte `offset` (a multiple of 4) of the chunk. */
  enterPage(offset: number): void {
    const { dataOffset, longSize, pageSize } = this.layout;
    const { view } = this.chunk;
    this.damage = null;
    this.missed = 0;
    this.delta = 0;
    this.position = offset + dataOffset;
    this.limit = this.position;
    const available = Math.min(offset + pageSize, view.byteLength);
    if (this.position > available) {
      this.damage = "the page is cut within its header";
      return;
    }
    this.baseLow = view.getUint32(offset + (this.littleEndian ? 0 : 4), this.littleEndian);
    this.baseHigh = view.getUint32(offset + (this.littleEndian ? 4 : 0), this.littleEndian);
    // A big-endian 64-bit kernel has the low half of the counter, and with it the flags, in the second word.
    const commitAt = offset + 8 + (longSize === 8 && !this.littleEndian ? 4 : 0);
    const commit = view.getUint32(commitAt, this.littleEndian);
    const dataEnd = this.position + (commit & COMMIT_MASK);
    if (dataEnd > offset + pageSize) {
      this.damage = `the page claims ${commit & COMMIT_MASK} bytes of records`;
      return;
    }
    if (dataEnd > available) this.damage = "the page is cut";
    this.limit = Math.min(dataEnd, available & ~3);
    if ((commit & MISSED_EVENTS) !== 0)
      this.missed = this.readMissed((commit & MISSED_STORED) !== 0, dataEnd, available);
  }

  private readMissed(isStored: boolean, at: number, available: number): number {
    const { longSize } = this.layout;
    if (!isStored || at + longSize > available) return -1;
    const { view } = this.chunk;
    const count =
      longSize === 8 ? Number(view.getBigUint64(at, this.littleEndian)) : view.getUint32(at, this.littleEndian);
    return Number.isSafeInteger(count) && count > 0 ? count : -1;
  }

  /**
   * Passes over short records as long as `actions` says `from` or more of their event ids.
   * @returns how many.
   */
  skip(actions: Uint8Array, from: number): number {
    const { words, limit, littleEndian } = this;
    const idShift = littleEndian ? 0 : 16;
    let { position, delta } = this;
    let count = 0;
    while (position < limit) {
      const word = words[position >>> 2]!;
      const type = littleEndian ? word & 31 : word >>> 27;
      if (type === 0 || type > DATA_TYPE_MAX) break;
      const end = position + 4 + type * 4;
      if (end > limit || actions[(words[(position >>> 2) + 1]! >>> idShift) & 0xffff]! < from) break;
      delta += littleEndian ? word >>> 5 : word & COMMIT_MASK;
      position = end;
      count++;
    }
    this.position = position;
    this.delta = delta;
    return count;
  }

  /** Moves to the next data record; false at the end of the page, and the time stays that of the last record. */
  next(): boolean {
    const { baseLow, baseHigh, delta } = this;
    if (this.advance()) return true;
    this.baseLow = baseLow;
    this.baseHigh = baseHigh;
    this.delta = delta;
    return false;
  }

  private advance(): boolean {
    while (this.position < this.limit) {
      const at = this.position;
      const word = this.words[at >>> 2]!;
      const type = this.littleEndian ? word & 31 : word >>> 27;
      const delta = this.littleEndian ? word >>> 5 : word & COMMIT_MASK;
      if (type !== 0 && type <= DATA_TYPE_MAX) {
        this.start = at + 4;
        this.end = at + 4 + type * 4;
        if (this.end > this.limit) return this.stop(at);
        this.position = this.end;
        this.delta += delta;
        return true;
      }
      // All others have a second word, except the padding that fills up a page.
      if (type === PADDING && delta === 0) {
        this.position = this.limit;
        return false;
      }
      if (at + 8 > this.limit) return this.stop(at);
      const second = this.words[(at >>> 2) + 1]!;
      if (type === TIME_EXTEND) {
        const low = this.baseLow + this.delta + delta + ((second << 27) >>> 0);
        this.baseHigh = (this.baseHigh + (second >>> 5) + Math.floor(low / TWO_32)) >>> 0;
        this.baseLow = low >>> 0;
        this.delta = 0;
        this.position = at + 8;
      } else if (type > TIME_EXTEND) {
        const oldHigh = this.baseHigh + Math.floor((this.baseLow + this.delta) / TWO_32);
        this.baseHigh = ((second >>> 5) | (oldHigh & ABSOLUTE_HIGH_BITS)) >>> 0;
        this.baseLow = ((second << 27) | delta) >>> 0;
        this.delta = 0;
        this.position = at + 8;
      } else {
        // Long data and discarded records: the second word is the length, itself included.
        const next = at + 4 + ((second + 3) & ~3);
        if (second < 4 || next > this.limit || next <= at) return this.stop(at);
        this.position = next;
        this.delta += delta;
        if (type === PADDING) continue;
        this.start = at + 8;
        this.end = at + 4 + second;
        return true;
      }
    }
    return false;
  }

  private stop(at: number): false {
    this.damage ??= `a record runs over the end of the page's data (byte ${at % this.layout.pageSize} of the page)`;
    this.position = this.limit;
    return false;
  }
}
