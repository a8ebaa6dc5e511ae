/**
 * What a perf.data says about itself: event attributes with their ids, the traced machine's event formats, features.
 * Source: tools/perf/Documentation/perf.data-file-format.txt; tools/perf/util/header.c, trace-event-read.c.
 */

import type { EventFormat } from "./event-format.js";
import { layOut, type PerfAttr, readAttr, type SampleLayout, SMALLEST_ATTR } from "./perf-data-attr.js";
import { ByteReader, type Bytes, DamagedPart } from "./trace-dat-bytes.js";
import type { Report } from "./trace-dat-file.js";
import { readComms, readFtraceFormats, readHeaderInfo, readKallsyms, readSystemFormats } from "./trace-dat-sections.js";

/** Numbers of the features that are used here. */
const FEATURE = { TRACING_DATA: 1, OSRELEASE: 4, CMDLINE: 11, COMPRESSED: 27 } as const;
const FEATURE_BITS = 256;

/** More than any recording has. */
const MOST_ATTRS = 1 << 16;
const MOST_IDS = 1 << 20;
export const FILE_HEADER = 104;

/** Fills up while a pipe's records are read; whole from the start for a file. */
export interface PerfHeader {
  littleEndian: boolean;
  isPipe: boolean;
  isCompressed: boolean;
  layouts: SampleLayout[];
  /** Which event a sample belongs to, by its id. */
  byId: Map<bigint, SampleLayout>;
  formats: Map<number, EventFormat>;
  /** The text of kallsyms; today's perf leaves it out. @throws DamagedPart */
  kallsyms: (() => Buffer) | null;
  /** From the embedded event formats' task names. */
  comms: Map<number, string>;
  kernel: string | null;
  /** The command that recorded, word by word; null where the file does not say. */
  command: string[] | null;
}

export function noHeader(littleEndian: boolean, isPipe: boolean): PerfHeader {
  return {
    littleEndian,
    isPipe,
    isCompressed: false,
    layouts: [],
    byId: new Map(),
    formats: new Map(),
    kallsyms: null,
    comms: new Map(),
    kernel: null,
    command: null,
  };
}

/** Adds an event. @param ids by which its samples name it */
export function addAttr(header: PerfHeader, attr: PerfAttr, ids: Iterable<bigint>): void {
  const layout = layOut(attr);
  header.layouts.push(layout);
  for (const id of ids) header.byId.set(id, layout);
}

/** One attribute in a file's table or a pipe's record. @param data stands at it; `size` bytes are its own */
export function takeAttr(data: ByteReader, size: number, littleEndian: boolean): PerfAttr {
  if (size < SMALLEST_ATTR) throw data.damaged(`an event attribute of ${size} bytes`);
  const bytes = Buffer.from(data.bytes(size));
  return readAttr(new DataView(bytes.buffer, bytes.byteOffset, size), littleEndian);
}

/**
 * The header of a file (not of a pipe).
 * @returns where its records are.
 * @throws DamagedPart when the attributes cannot be read: without them no sample can.
 */
export function readFileHeader(bytes: Bytes, header: PerfHeader, report: Report): { start: number; end: number } {
  const { littleEndian } = header;
  const reader = new ByteReader(bytes, littleEndian, 16);
  const attrSize = reader.size64();
  const attrs = { offset: reader.size64(), size: reader.size64() };
  const data = { offset: reader.size64(), size: reader.size64() };
  reader.skip(16);
  const flagsAt = reader.position;
  readAttrs(bytes, header, attrs, attrSize);
  const start = Math.min(data.offset, bytes.size);
  if (data.size === 0) {
    report("error", 40, "the recorder was killed and has not written its end: what it left is read");
    return { start, end: bytes.size };
  }
  const end = start + data.size;
  if (end > bytes.size) {
    report("error", bytes.size, `the file ends ${end - bytes.size} bytes before its records do`);
    return { start, end: bytes.size };
  }
  readFeatures(bytes, header, flagsAt, end, report);
  return { start, end };
}

function readAttrs(bytes: Bytes, header: PerfHeader, table: { offset: number; size: number }, entry: number): void {
  const reader = new ByteReader(bytes, header.littleEndian, table.offset);
  const count = table.size / entry;
  if (!Number.isInteger(count) || count < 1 || count > MOST_ATTRS || entry < SMALLEST_ATTR + 16) {
    throw reader.damaged(`${table.size} bytes of event attributes of ${entry} bytes each`, 16);
  }
  for (let index = 0; index < count; index++) {
    const attr = takeAttr(reader, entry - 16, header.littleEndian);
    const at = reader.position;
    const offset = reader.size64();
    const size = reader.size64();
    if (size / 8 > MOST_IDS) throw reader.damaged(`${size} bytes of event ids`, at);
    const ids = new ByteReader(bytes, header.littleEndian, offset);
    addAttr(header, attr, takeIds(ids, size / 8));
  }
}

function* takeIds(reader: ByteReader, count: number): Generator<bigint> {
  for (let left = Math.floor(count); left > 0; left--) yield reader.u64();
}

/** A table of one place for each bit that is set, behind the records. What is damaged in it is reported only. */
function readFeatures(bytes: Bytes, header: PerfHeader, flagsAt: number, tableAt: number, report: Report): void {
  const flags = new ByteReader(bytes, header.littleEndian, flagsAt);
  const table = new ByteReader(bytes, header.littleEndian, tableAt);
  const words = Array.from({ length: FEATURE_BITS / 64 }, () => flags.u64());
  try {
    for (let bit = 0; bit < FEATURE_BITS; bit++) {
      if (((words[bit >>> 6]! >> BigInt(bit & 63)) & 1n) === 0n) continue;
      const offset = table.size64();
      const size = table.size64();
      const reader = new ByteReader(bytes, header.littleEndian, offset);
      readFeature(header, bit, reader, size, report);
    }
  } catch (error) {
    if (!(error instanceof DamagedPart)) throw error;
    report("error", error.offset, `the features cannot be read: ${error.message}`);
  }
}

/** One feature, of a file or out of a pipe's record; `size` bytes from where `data` stands. */
export function readFeature(header: PerfHeader, id: number, data: ByteReader, size: number, report: Report): void {
  const text = () => {
    const bytes = data.bytes(data.u32());
    const end = bytes.indexOf(0);
    return bytes.toString("utf8", 0, end < 0 ? bytes.length : end);
  };
  try {
    if (id === FEATURE.TRACING_DATA && size > 0) readTracingData(header, data, report);
    else if (id === FEATURE.OSRELEASE) header.kernel = text();
    else if (id === FEATURE.CMDLINE) {
      const words = data.u32();
      if (words <= MOST_ATTRS) header.command = Array.from({ length: words }, text);
    } else if (id === FEATURE.COMPRESSED) header.isCompressed = true;
  } catch (error) {
    if (!(error instanceof DamagedPart)) throw error;
    report("error", error.offset, `a part of the header cannot be read: ${error.message}`);
  }
}

const TRACING_MAGIC = "\x17\x08\x44tracing";

/** The head of a trace.dat of its own: event formats of the traced machine. @throws DamagedPart */
export function readTracingData(header: PerfHeader, data: ByteReader, report: Report): void {
  const start = data.position;
  if (data.bytes(TRACING_MAGIC.length).toString("latin1") !== TRACING_MAGIC) {
    throw data.damaged("no event formats where they should be", start);
  }
  const version = data.name();
  const isLittle = data.u8() === 0;
  if (isLittle !== header.littleEndian) throw data.damaged("event formats of another byte order", start);
  data.skip(1 + 4);
  const formats: EventFormat[] = [];
  try {
    readHeaderInfo(data);
    readFtraceFormats(data, formats);
    readSystemFormats(data, formats);
    header.kallsyms = readKallsyms(data);
    data.skip(data.u32());
    if (Number(version) >= 0.6) header.comms = readComms(data);
  } catch (error) {
    if (!(error instanceof DamagedPart)) throw error;
    report("error", error.offset, `the event formats end early: ${error.message}`);
  }
  for (const format of formats) header.formats.set(format.id, format);
}
