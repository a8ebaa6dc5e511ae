/**
 * The records of a perf.data file, one after the other: as they lie in it, or out of its compressed ones, whose
 * payloads are a single zstd stream that is never ended.
 * Source: tools/perf/Documentation/perf.data-file-format.txt; tools/perf/util/session.c.
 */

import { streamZstd, type ZstdStream } from "./decompress.js";
import { type Chunk, makeChunk } from "./ring-buffer.js";
import type { Bytes } from "./trace-dat-bytes.js";
import type { Report } from "./trace-dat-file.js";

export const RECORD = {
  MMAP: 1,
  LOST: 2,
  COMM: 3,
  FORK: 7,
  SAMPLE: 9,
  MMAP2: 10,
  LOST_SAMPLES: 13,
  HEADER_ATTR: 64,
  TRACING_DATA: 66,
  FINISHED_ROUND: 68,
  AUXTRACE: 71,
  HEADER_FEATURE: 80,
  COMPRESSED: 81,
  COMPRESSED2: 83,
} as const;

/** No kernel or perf has written a type beyond; what follows such a number is no record. */
const LAST_TYPE = 120;
const HEADER = 8;
const LONGEST_RECORD = 0xffff;
const WINDOW = 1 << 20;
/** Bytes of a damaged stretch that are searched for the next record. */
const SEARCHED = 16 << 20;
/** Records in a row that must look like records for the search to end. */
const CONVINCING = 4;
/** A stream that unpacks to more than so many times its size, beyond the first bytes, is a trap. */
const LARGEST_RATIO = 1000;
const FREE_BYTES = 64 << 20;

/** One record; the same object is filled anew for each. */
export interface PerfRecord {
  chunk: Chunk;
  type: number;
  misc: number;
  /** Of the record, its header included, in the chunk. */
  start: number;
  end: number;
  /** Of the record in the file; of the compressed record that it came out of. */
  offset: number;
}

export interface RecordArea {
  bytes: Bytes;
  start: number;
  /** Not behind the end of the file. */
  end: number;
  littleEndian: boolean;
  /** null when the file does not say that it is compressed. */
  zstd: ZstdStream | null;
  report: Report;
  /** Called where records are missing, before the next one. */
  onDamage(): void;
}

/** Calls `visit` with every record; yields now and then, so that what was found can be handed on. */
export function* visitRecords(area: RecordArea, visit: (record: PerfRecord) => void): Generator<void> {
  const outer = outerRecords(area, visit);
  for (;;) {
    const { value: payload, done } = outer.next();
    if (done === true) return;
    if (payload === null) yield;
    else yield* visitCompressed(area, payload, outer, visit);
  }
}

interface Payload {
  bytes: Buffer;
  offset: number;
}

/** Everything from the first compressed record on. The decoder asks for a payload when it has given out the last. */
function* visitCompressed(
  area: RecordArea,
  first: Payload,
  outer: Iterator<Payload | null>,
  visit: (record: PerfRecord) => void,
): Generator<void> {
  const { zstd, report } = area;
  let { offset } = first;
  if (zstd === null) {
    report("error", offset, "compressed records in a file that cannot be decompressed: left out");
    area.onDamage();
    return;
  }
  let packed = 0;
  let isOver = false;
  function* payloads(): Generator<Buffer> {
    for (let payload: Payload | null = first; ; ) {
      if (payload !== null) {
        ({ offset } = payload);
        packed += payload.bytes.length;
        yield payload.bytes;
      }
      const next = outer.next();
      if (next.done === true) break;
      payload = next.value;
    }
    isOver = true;
  }
  let rest: Buffer = Buffer.alloc(0);
  let unpacked = 0;
  try {
    for (const part of streamZstd(zstd, payloads())) {
      unpacked += part.length;
      if (unpacked > FREE_BYTES && unpacked > packed * LARGEST_RATIO) {
        throw new Error(`${packed} bytes unpack to more than ${unpacked}`);
      }
      const whole = Buffer.allocUnsafeSlow(rest.length + part.length);
      rest.copy(whole);
      whole.set(part, rest.length);
      const used = visitRun(whole, 0, area, () => offset, visit);
      if (used < 0) throw new Error("no record begins where one should");
      rest = whole.subarray(used);
      yield;
    }
  } catch (error) {
    // The decoder complains of a stream without an end, and perf never ends it.
    if (isOver && rest.length === 0) return;
    report("error", offset, `the compressed records cannot be read on (${(error as Error).message})`);
    area.onDamage();
    while (outer.next().done !== true);
  }
}

/**
 * Visits the whole records of a run of them.
 * @param startAt offset of the first in `bytes`
 * @returns how many bytes were used; -1 when there is something else in between.
 */
function visitRun(
  bytes: Buffer,
  startAt: number,
  area: RecordArea,
  offsetOf: (start: number) => number,
  visit: (record: PerfRecord) => void,
): number {
  const chunk = makeChunk(bytes, area.littleEndian);
  const record: PerfRecord = { chunk, type: 0, misc: 0, start: 0, end: 0, offset: 0 };
  let at = startAt;
  while (at + HEADER <= bytes.length) {
    const size = readHeader(chunk.view, at, area.littleEndian, record);
    if (size === 0) return -1;
    if (at + size > bytes.length) break;
    record.start = at;
    record.end = at + size;
    record.offset = offsetOf(at);
    visit(record);
    at += size;
  }
  return at;
}

/** Fills type and misc in. @returns the record's size; 0 when no record begins here. */
function readHeader(view: DataView, at: number, littleEndian: boolean, record: PerfRecord): number {
  record.type = view.getUint32(at, littleEndian);
  record.misc = view.getUint16(at + 4, littleEndian);
  const size = view.getUint16(at + 6, littleEndian);
  return record.type === 0 || record.type > LAST_TYPE || size < HEADER ? 0 : size;
}

/** Visits the records that are not compressed; yields the payloads of those that are, and null now and then. */
function* outerRecords(area: RecordArea, visit: (record: PerfRecord) => void): Generator<Payload | null> {
  const { bytes, littleEndian, end, report } = area;
  let offset = area.start;
  while (offset + HEADER <= end) {
    const window = bytes.read(offset, Math.min(WINDOW, end - offset));
    const chunk = makeChunk(window, littleEndian);
    const record: PerfRecord = { chunk, type: 0, misc: 0, start: 0, end: 0, offset: 0 };
    let at = 0;
    let skipped = 0;
    while (at + HEADER <= window.length) {
      const size = readHeader(chunk.view, at, littleEndian, record);
      if (size === 0) {
        if (isLastWord(window, at, offset + at, end)) return;
        const next = findRecord(area, offset + at + HEADER);
        report("error", offset + at, next === null ? "no record begins here: the rest is left out" : noRecord(next));
        area.onDamage();
        if (next === null) return;
        skipped = next - (offset + at);
        break;
      }
      if (at + size > window.length) break;
      record.start = at;
      record.end = at + size;
      record.offset = offset + at;
      if (record.type === RECORD.COMPRESSED || record.type === RECORD.COMPRESSED2) {
        const payload = payloadOf(record, littleEndian);
        if (payload === null) report("error", record.offset, "a compressed record claims more than it has");
        else yield payload;
      } else visit(record);
      at += size;
      skipped = trailingData(record, littleEndian);
      if (skipped > 0) break;
    }
    if (at === 0 && skipped === 0) break;
    offset += at + skipped;
    yield null;
  }
  if (offset < end || offset > end) {
    report("error", Math.min(offset, end), "the file ends within a record");
    area.onDamage();
  }
}

function noRecord(next: number): string {
  return `no record begins here: reading on at byte ${next}`;
}

function payloadOf(record: PerfRecord, littleEndian: boolean): Payload | null {
  const { chunk, start, end, offset } = record;
  if (record.type === RECORD.COMPRESSED) return { bytes: chunk.bytes.subarray(start + HEADER, end), offset };
  if (start + HEADER + 8 > end) return null;
  const size = Number(chunk.view.getBigUint64(start + HEADER, littleEndian));
  const from = start + HEADER + 8;
  return from + size > end ? null : { bytes: chunk.bytes.subarray(from, from + size), offset };
}

/** Bytes that belong to a record but lie behind it. */
export function trailingData({ chunk, type, start, end }: PerfRecord, littleEndian: boolean): number {
  if (type === RECORD.TRACING_DATA && start + 12 <= end) {
    return (chunk.view.getUint32(start + 8, littleEndian) + 7) & ~7;
  }
  if (type === RECORD.AUXTRACE && start + 16 <= end) return Number(chunk.view.getBigUint64(start + 8, littleEndian));
  return 0;
}

/** What perf says at its end goes into the pipe, too: `[ perf record: Woken up 1 times to write data ]`. */
function isLastWord(window: Buffer, at: number, offset: number, end: number): boolean {
  return end - offset < 4096 && window.toString("latin1", at, at + 6) === "[ perf";
}

/** Offset of the next place where several records follow each other; null when none is near. */
function findRecord({ bytes, end, littleEndian }: RecordArea, from: number): number | null {
  const last = Math.min(end, from + SEARCHED);
  const record = { type: 0, misc: 0 } as PerfRecord;
  for (let base = from; base + HEADER <= last; ) {
    const window = bytes.read(base, Math.min(WINDOW + CONVINCING * LONGEST_RECORD, end - base));
    const view = new DataView(window.buffer, window.byteOffset, window.length);
    for (let at = 0; at + HEADER <= Math.min(window.length, WINDOW); at += 8) {
      let next = at;
      let found = 0;
      while (found < CONVINCING && next + HEADER <= window.length) {
        const size = readHeader(view, next, littleEndian, record);
        if (size === 0 || size % 8 !== 0) break;
        next += size;
        found++;
      }
      if (found === CONVINCING || (found > 0 && base + next === end)) return base + at;
    }
    base += WINDOW;
  }
  return null;
}
