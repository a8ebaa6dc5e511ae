/** Version 6 of trace.dat: one part after the other, each with its length in front. */

import { ByteReader, type Bytes, DamagedPart } from "./trace-dat-bytes.js";
import type { Report, TraceBuffer, TraceDatFile } from "./trace-dat-file.js";
import { OPTION, parseClock, readCommonOption } from "./trace-dat-options.js";
import {
  MOST_CPUS,
  readComms,
  readFtraceFormats,
  readHeaderInfo,
  readKallsyms,
  readSystemFormats,
} from "./trace-dat-sections.js";
import { UnreadableInput } from "./trace-event.js";

const TAG_SIZE = 10;
const OPTIONS = "options  \0";
const FLYRECORD = "flyrecord\0";
const LATENCY = "latency  \0";

/** Fills `file` from all headers; `reader` stands behind the page size. @throws UnreadableInput */
export function readVersion6(path: string, bytes: Bytes, reader: ByteReader, file: TraceDatFile, report: Report): void {
  try {
    readDescriptions(reader, file);
  } catch (error) {
    if (!(error instanceof DamagedPart)) throw error;
    report("error", error.offset, `${error.message}; reading on at the CPU data`);
    const tag = findTag(bytes, reader.position);
    if (tag < 0) {
      throw new UnreadableInput(
        `${path}: damaged at byte ${error.offset} (${error.message}) and without CPU data behind; record it again`,
      );
    }
    reader.position = tag - 4;
  }
  try {
    readBuffers(path, bytes, reader, file);
  } catch (error) {
    if (!(error instanceof DamagedPart)) throw error;
    report("error", error.offset, error.message);
  }
}

/** Everything in front of the CPU count. */
function readDescriptions(reader: ByteReader, file: TraceDatFile): void {
  file.pageHeader = readHeaderInfo(reader) ?? file.pageHeader;
  readFtraceFormats(reader, file.formats);
  readSystemFormats(reader, file.formats);
  file.kallsyms = readKallsyms(reader);
  reader.skip(reader.u32());
  file.comms = readComms(reader);
}

function readBuffers(path: string, bytes: Bytes, reader: ByteReader, file: TraceDatFile): void {
  const pageSize = file.pageSize;
  let cpuCount = reader.u32();
  let hasClock = false;
  const instances: { name: string; offset: number }[] = [];
  const readTag = () => reader.bytes(TAG_SIZE).toString("latin1");

  for (let tag = readTag(); tag !== FLYRECORD; tag = readTag()) {
    if (tag === LATENCY) {
      throw new UnreadableInput(`${path}: holds a latency trace as text; give the output of trace-cmd report instead`);
    }
    if (tag !== OPTIONS) throw reader.damaged("neither options nor CPU data", reader.position - TAG_SIZE);
    for (let id = reader.u16(); id !== OPTION.DONE; id = reader.u16()) {
      const size = reader.u32();
      const start = reader.skip(size);
      const data = new ByteReader({ size: start + size, read: bytes.read }, file.littleEndian, start);
      if (id === OPTION.TRACECLOCK) hasClock = true;
      else if (id === OPTION.BUFFER) instances.push({ offset: data.size64(), name: data.name() });
      else readCommonOption(file.options, id, data);
    }
  }
  cpuCount = file.options.cpuCount ?? cpuCount;

  const readTable = (name: string): TraceBuffer => {
    if (cpuCount > MOST_CPUS) throw reader.damaged(`${cpuCount} CPUs`);
    const cpus = Array.from({ length: cpuCount }, (_, cpu) => ({
      cpu,
      offset: reader.size64(),
      size: reader.size64(),
    }));
    return { name, clock: null, pageSize, isCompressed: false, cpus };
  };
  file.buffers.push(readTable(""));
  if (hasClock) file.options.clock = readClock(reader);
  for (const { name, offset } of instances) {
    reader.position = offset;
    if (readTag() !== FLYRECORD) throw reader.damaged(`buffer ${JSON.stringify(name)} has no CPU data`, offset);
    file.buffers.push(readTable(name));
  }
}

/** In this version the option is empty and the clocks stand behind the CPU table. */
function readClock(reader: ByteReader): string | null {
  const length = reader.size64();
  return length < 4096 ? parseClock(reader.bytes(length).toString("latin1")) : null;
}

/** Offset of the next tag that announces options or CPU data, -1 when there is none. */
function findTag(bytes: Bytes, from: number): number {
  const step = 1 << 20;
  for (let at = from; at < bytes.size; at += step) {
    const part = bytes.read(at, step + TAG_SIZE);
    const found = [OPTIONS, FLYRECORD].map((tag) => part.indexOf(tag, 0, "latin1")).filter((index) => index >= 0);
    if (found.length > 0) return at + Math.min(...found);
  }
  return -1;
}
