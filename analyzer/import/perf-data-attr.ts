/**
 * What a perf event was asked for, and where its samples have their values.
 * Source: include/uapi/linux/perf_event.h (struct perf_event_attr, enum perf_event_sample_format, PERF_RECORD_SAMPLE).
 */

/** Bits of `sample_type`. */
const SAMPLE = {
  IP: 1 << 0,
  TID: 1 << 1,
  TIME: 1 << 2,
  ADDR: 1 << 3,
  READ: 1 << 4,
  CALLCHAIN: 1 << 5,
  ID: 1 << 6,
  CPU: 1 << 7,
  PERIOD: 1 << 8,
  STREAM_ID: 1 << 9,
  RAW: 1 << 10,
  IDENTIFIER: 1 << 16,
} as const;

/** Bits of `read_format`. */
const READ = { TIMES: 0b11, ID: 1 << 2, GROUP: 1 << 3, LOST: 1 << 4 } as const;

/** Bits of the flags behind `read_format`, by their place in the struct. */
const FLAG = { FREQ: 10, ENABLE_ON_EXEC: 12, SAMPLE_ID_ALL: 18, USE_CLOCKID: 25, WRITE_BACKWARD: 27 } as const;

const TYPE_TRACEPOINT = 2;
/** PERF_ATTR_SIZE_VER0: older than any that records tracepoints. */
export const SMALLEST_ATTR = 64;

export interface PerfAttr {
  /** Event format id for a tracepoint (kprobe events are such); null for everything else. */
  tracepoint: number | null;
  sampleType: number;
  readFormat: number;
  /** Not every hit is recorded: a frequency, or a period above one, was asked for. */
  isSampled: boolean;
  /** Records that are no samples end with time, CPU and id, too. */
  hasSampleIdAll: boolean;
  /** As clock_gettime() numbers it; null for perf's own clock. */
  clockId: number | null;
  /** The buffer was overwritten from its end (`perf record --overwrite`). */
  isOverwritten: boolean;
  /** Counts a command only, not the whole machine. */
  isPerTask: boolean;
}

/** @param view of one perf_event_attr, at least SMALLEST_ATTR bytes; longer and shorter ones of other kernels do. */
export function readAttr(view: DataView, littleEndian: boolean): PerfAttr {
  const flags = view.getBigUint64(40, littleEndian);
  // Bit fields begin at the low end on little-endian machines, at the high end on others.
  const flag = (bit: number) => ((flags >> BigInt(littleEndian ? bit : 63 - bit)) & 1n) === 1n;
  const hasClock = flag(FLAG.USE_CLOCKID) && view.byteLength >= 96;
  return {
    tracepoint:
      view.getUint32(0, littleEndian) === TYPE_TRACEPOINT ? Number(view.getBigUint64(8, littleEndian) & 0xffffn) : null,
    sampleType: Number(view.getBigUint64(24, littleEndian) & 0xffffffffn),
    readFormat: Number(view.getBigUint64(32, littleEndian) & 0xffffffffn),
    isSampled: flag(FLAG.FREQ) || view.getBigUint64(16, littleEndian) > 1n,
    hasSampleIdAll: flag(FLAG.SAMPLE_ID_ALL),
    clockId: hasClock ? view.getInt32(92, littleEndian) : null,
    isOverwritten: flag(FLAG.WRITE_BACKWARD),
    isPerTask: flag(FLAG.ENABLE_ON_EXEC),
  };
}

/** Offsets in bytes; null for what is not recorded. */
export interface SampleLayout {
  attr: PerfAttr;
  /** In a sample, from the start of its record. */
  time: number | null;
  tid: number | null;
  cpu: number | null;
  /** Where the parts of variable length begin. */
  fixedEnd: number;
  /** In other records, from the record's end (negative). */
  trailer: { time: number | null; cpu: number | null };
}

const RECORD_HEADER = 8;

export function layOut(attr: PerfAttr): SampleLayout {
  const { sampleType } = attr;
  const has = (bit: number) => (sampleType & bit) !== 0;
  let at = RECORD_HEADER;
  const place = (bit: number): number | null => {
    if (!has(bit)) return null;
    at += 8;
    return at - 8;
  };
  place(SAMPLE.IDENTIFIER);
  place(SAMPLE.IP);
  const tid = place(SAMPLE.TID);
  const time = place(SAMPLE.TIME);
  for (const bit of [SAMPLE.ADDR, SAMPLE.ID, SAMPLE.STREAM_ID]) place(bit);
  const cpu = place(SAMPLE.CPU);
  place(SAMPLE.PERIOD);
  return { attr, time, tid: tid === null ? null : tid + 4, cpu, fixedEnd: at, trailer: layOutTrailer(attr) };
}

function layOutTrailer(attr: PerfAttr): SampleLayout["trailer"] {
  if (!attr.hasSampleIdAll) return { time: null, cpu: null };
  const order = [SAMPLE.TID, SAMPLE.TIME, SAMPLE.ID, SAMPLE.STREAM_ID, SAMPLE.CPU, SAMPLE.IDENTIFIER];
  const present = order.filter((bit) => (attr.sampleType & bit) !== 0);
  const fromEnd = (bit: number) => (present.includes(bit) ? (present.indexOf(bit) - present.length) * 8 : null);
  return { time: fromEnd(SAMPLE.TIME), cpu: fromEnd(SAMPLE.CPU) };
}

/** Where a sample has the id of its event, from the start of the record; null where it has none. */
export function idOffset({ sampleType }: PerfAttr): number | null {
  if ((sampleType & SAMPLE.IDENTIFIER) !== 0) return RECORD_HEADER;
  if ((sampleType & SAMPLE.ID) === 0) return null;
  const before = [SAMPLE.IP, SAMPLE.TID, SAMPLE.TIME, SAMPLE.ADDR].filter((bit) => (sampleType & bit) !== 0);
  return RECORD_HEADER + before.length * 8;
}

/** The parts of a sample behind the fixed ones. Refilled for each sample, so that none makes an object. */
export interface SampleParts {
  /** Call chain: offset of its first entry and number of entries, 0 without one. */
  chain: number;
  chainLength: number;
  /** The tracepoint's own record; equal when there is none. */
  rawStart: number;
  rawEnd: number;
}

/** Finds the parts of the sample in `view[start, end)`. @returns false when it does not fit its own lengths. */
export function findParts(
  view: DataView,
  start: number,
  end: number,
  littleEndian: boolean,
  layout: SampleLayout,
  parts: SampleParts,
): boolean {
  const { sampleType, readFormat } = layout.attr;
  parts.chainLength = 0;
  parts.rawStart = 0;
  parts.rawEnd = 0;
  let at = start + layout.fixedEnd;
  const count = (): number | null => {
    if (at + 8 > end) return null;
    const value = view.getBigUint64(at, littleEndian);
    at += 8;
    return value > 0xffffn ? null : Number(value);
  };
  if ((sampleType & SAMPLE.READ) !== 0) {
    const times = ((readFormat & 1) + ((readFormat >> 1) & 1)) * 8;
    const perValue = 8 + ((readFormat & READ.ID) !== 0 ? 8 : 0) + ((readFormat & READ.LOST) !== 0 ? 8 : 0);
    if ((readFormat & READ.GROUP) !== 0) {
      const values = count();
      if (values === null) return false;
      at += times + values * perValue;
    } else at += times + perValue;
  }
  if ((sampleType & SAMPLE.CALLCHAIN) !== 0) {
    const length = count();
    if (length === null || at + length * 8 > end) return false;
    parts.chain = at;
    parts.chainLength = length;
    at += length * 8;
  }
  if ((sampleType & SAMPLE.RAW) !== 0) {
    if (at + 4 > end) return false;
    const size = view.getUint32(at, littleEndian);
    if (at + 4 + size > end) return false;
    parts.rawStart = at + 4;
    parts.rawEnd = at + 4 + size;
  }
  return at <= end;
}
