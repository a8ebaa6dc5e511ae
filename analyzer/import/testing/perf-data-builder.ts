/** Builds small perf.data files for tests: one event per format, samples with time, CPU, call chain and raw data. */
import { ByteWriter } from "./byte-writer.js";
import { type BuiltFormat, type BuiltRecord, buildRecord, formatText, headerPageText } from "./ring-buffer-builder.js";

export interface BuiltSample {
  record: BuiltRecord;
  time: bigint;
  cpu: number;
  /** Kernel addresses, innermost first. */
  chain?: bigint[];
}

export type BuiltPerfRecord =
  | BuiltSample
  | { comm: string; tid: number; time: bigint }
  | { fork: { child: number; parent: number }; time: bigint }
  | { lost: number; time: bigint; cpu: number }
  | { lostSamples: number }
  | "round"
  /** Anything, as it is. */
  | Buffer;

export interface BuiltPerf {
  littleEndian?: boolean;
  isPipe?: boolean;
  formats: BuiltFormat[];
  records: BuiltPerfRecord[];
  period?: bigint;
  /** As perf was called. */
  command?: string[];
  /** The recorder was killed before it wrote its end. */
  isKilled?: boolean;
}

/** IP, TID, TIME, CALLCHAIN, ID, CPU, PERIOD, RAW. */
const SAMPLE_TYPE = 0x1 | 0x2 | 0x4 | 0x20 | 0x40 | 0x80 | 0x100 | 0x400;
const ATTR_SIZE = 136;
const SAMPLE_ID_ALL = 18;
const KERNEL_CHAIN = 0xffffffffffffff80n;
const USER_CHAIN = 0xfffffffffffffe00n;

export function buildPerf(perf: BuiltPerf): Buffer {
  const littleEndian = perf.littleEndian ?? true;
  const writer = () => new ByteWriter(littleEndian);
  const machine = { littleEndian, longSize: 8, pageSize: 4096 } as const;
  const tracing = tracingData(perf.formats, machine);
  const attrs = perf.formats.map((format) => attr(format, perf, littleEndian));
  const records = Buffer.concat(perf.records.map((record) => recordBytes(record, perf, littleEndian)));
  const magic = littleEndian ? "PERFILE2" : "2ELIFREP";
  if (perf.isPipe === true) {
    const out = writer().bytes(magic).u64(16);
    attrs.forEach((bytes, index) => {
      out
        .bytes(header(littleEndian, 64, bytes.length + 8))
        .bytes(bytes)
        .u64(index + 1);
    });
    // Padded by its length, wherever it begins.
    const padding = Buffer.alloc((8 - (tracing.length % 8)) % 8);
    out.bytes(header(littleEndian, 66, 4)).u32(tracing.length);
    out.bytes(tracing).bytes(padding);
    return out.bytes(records).toBuffer();
  }
  const ids = 104;
  const attrsAt = ids + 8 * attrs.length;
  const dataAt = attrsAt + attrs.length * (ATTR_SIZE + 16);
  const features = perf.command === undefined ? [1] : [1, 11];
  const flags = features.reduce((bits, bit) => bits | (1n << BigInt(bit)), 0n);
  const out = writer()
    .bytes(magic)
    .u64(104)
    .u64(ATTR_SIZE + 16)
    .u64(attrsAt)
    .u64(attrs.length * (ATTR_SIZE + 16));
  out
    .u64(dataAt)
    .u64(perf.isKilled === true ? 0 : records.length)
    .u64(0)
    .u64(0);
  out.u64(flags).u64(0).u64(0).u64(0);
  attrs.forEach((_, index) => {
    out.u64(index + 1);
  });
  attrs.forEach((bytes, index) => {
    out
      .bytes(bytes)
      .u64(ids + 8 * index)
      .u64(8);
  });
  out.bytes(records);
  if (perf.isKilled === true) return out.toBuffer();
  const command = writer().u32(perf.command?.length ?? 0);
  for (const word of perf.command ?? []) command.u32(word.length + 1).name(word);
  const parts = perf.command === undefined ? [tracing] : [tracing, command.toBuffer()];
  let at = out.position + 16 * parts.length;
  for (const part of parts) {
    out.u64(at).u64(part.length);
    at += part.length;
  }
  for (const part of parts) out.bytes(part);
  return out.toBuffer();
}

/** @param size of what stands behind the eight bytes of the header */
export function header(littleEndian: boolean, type: number, size: number): Buffer {
  return new ByteWriter(littleEndian)
    .u32(type)
    .u16(0)
    .u16(size + 8)
    .toBuffer();
}

function attr(format: BuiltFormat, perf: BuiltPerf, littleEndian: boolean): Buffer {
  // Bit fields begin at the other end of the word on big-endian machines.
  const flag = (bit: number) => 1n << BigInt(littleEndian ? bit : 63 - bit);
  const out = new ByteWriter(littleEndian)
    .u32(2)
    .u32(ATTR_SIZE)
    .u64(format.id)
    .u64(perf.period ?? 1n);
  out.u64(SAMPLE_TYPE).u64(0).u64(flag(SAMPLE_ID_ALL));
  return out.bytes(Buffer.alloc(ATTR_SIZE - out.position)).toBuffer();
}

function tracingData(formats: readonly BuiltFormat[], machine: Parameters<typeof formatText>[1]): Buffer {
  const out = new ByteWriter(machine.littleEndian).bytes("\x17\x08\x44tracing").name("0.6");
  out
    .u8(machine.littleEndian ? 0 : 1)
    .u8(8)
    .u32(4096);
  const page = headerPageText(machine);
  out.name("header_page").u64(page.length).bytes(page).name("header_event").u64(0).u32(0);
  const systems = new Set(formats.map(({ system }) => system));
  out.u32(systems.size);
  for (const system of systems) {
    const texts = formats.filter((format) => format.system === system).map((format) => formatText(format, machine));
    out.name(system).u32(texts.length);
    for (const text of texts) out.u64(text.length).bytes(text);
  }
  return out.u32(0).u32(0).u64(0).toBuffer();
}

function recordBytes(record: BuiltPerfRecord, perf: BuiltPerf, littleEndian: boolean): Buffer {
  if (Buffer.isBuffer(record)) return record;
  const body = new ByteWriter(littleEndian);
  /** TID, TIME, ID, CPU: what SAMPLE_ID_ALL puts behind records that are no samples. */
  const trailer = (tid: number, time: bigint, cpu: number) => body.u32(tid).u32(tid).u64(time).u64(1).u32(cpu).u32(0);
  let type = 9;
  if (record === "round") type = 68;
  else if ("comm" in record) {
    type = 3;
    body.u32(record.tid).u32(record.tid).name(record.comm).align(8);
    trailer(record.tid, record.time, 0);
  } else if ("fork" in record) {
    type = 7;
    const { child, parent } = record.fork;
    body.u32(child).u32(parent).u32(child).u32(parent).u64(record.time);
    trailer(child, record.time, 0);
  } else if ("lost" in record) {
    type = 2;
    body.u64(1).u64(record.lost);
    trailer(0, record.time, record.cpu);
  } else if ("lostSamples" in record) {
    type = 13;
    body.u64(record.lostSamples);
    trailer(0, 0n, 0);
  } else writeSample(body, record, perf, littleEndian);
  const bytes = body.toBuffer();
  return Buffer.concat([header(littleEndian, type, bytes.length), bytes]);
}

function writeSample(body: ByteWriter, { record, time, cpu, chain = [] }: BuiltSample, perf: BuiltPerf, le: boolean) {
  const raw = buildRecord(record, { littleEndian: le, longSize: 8, pageSize: 4096 });
  const id = perf.formats.indexOf(record.format) + 1;
  const tid = record.tid ?? 1;
  body
    .u64(chain[0] ?? 0)
    .u32(tid)
    .u32(tid)
    .u64(time)
    .u64(id)
    .u32(cpu)
    .u32(0)
    .u64(1);
  const entries = [KERNEL_CHAIN, ...chain, USER_CHAIN, 0x401000n];
  body.u64(entries.length);
  for (const entry of entries) body.u64(entry);
  const size = raw.length + ((8 - ((raw.length + 4) % 8)) % 8);
  body
    .u32(size)
    .bytes(raw)
    .bytes(Buffer.alloc(size - raw.length));
}
