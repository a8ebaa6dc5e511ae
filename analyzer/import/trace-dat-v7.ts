/**
 * Version 7 of trace.dat: sections, found through option tables of which each names the next.
 * The table that knows the CPU data stands at the very end, so a cut file has lost it: then the sections are walked.
 */

import { ByteReader, type Bytes, bufferBytes, DamagedPart } from "./trace-dat-bytes.js";
import { isSaneSize } from "./trace-dat-chunks.js";
import type { Report, TraceBuffer, TraceDatFile } from "./trace-dat-file.js";
import { OPTION, readCommonOption } from "./trace-dat-options.js";
import { findChunkLists, findPageRuns } from "./trace-dat-recovery.js";
import {
  MOST_CPUS,
  readComms,
  readFtraceFormats,
  readHeaderInfo,
  readKallsyms,
  readSystemFormats,
} from "./trace-dat-sections.js";
import { UnreadableInput } from "./trace-event.js";

const SECTION_HEADER = 16;
const COMPRESSED = 1;

interface Section {
  id: number;
  isCompressed: boolean;
  /** Of its header, in the file. */
  offset: number;
  /** Bytes behind the header. */
  size: number;
}

/** Fills `file` from all headers; `reader` stands behind the compression's name. @throws UnreadableInput */
export function readVersion7(path: string, bytes: Bytes, reader: ByteReader, file: TraceDatFile, report: Report): void {
  /** By option id; a later table overrides an earlier one. */
  const sections = new Map<number, number>();
  const bufferSections = new Set<number>();
  const tables = new Set<number>();

  function readSection(offset: number): Section {
    const header = new ByteReader(bytes, file.littleEndian, offset);
    const id = header.u16();
    const isCompressed = (header.u16() & COMPRESSED) !== 0;
    header.skip(4);
    return { id, isCompressed, offset, size: header.size64() };
  }

  /** The section's content, decompressed. */
  function openSection(offset: number, id: number): ByteReader {
    const section = readSection(offset);
    if (section.id !== id) throw new DamagedPart(offset, `section ${id} is expected, ${section.id} found`);
    const start = offset + SECTION_HEADER;
    const end = start + section.size;
    if (end > bytes.size) throw new DamagedPart(offset, "the file ends within this section");
    const raw = new ByteReader({ size: end, read: bytes.read }, file.littleEndian, start);
    if (!section.isCompressed) return raw;
    const compressed = raw.u32();
    const size = raw.u32();
    if (file.decompress === null || size === 0 || !isSaneSize(compressed, size, file.pageSize)) {
      throw new DamagedPart(offset, `the section claims ${size} bytes out of ${compressed}`);
    }
    try {
      const content = file.decompress(raw.bytes(compressed), size);
      return new ByteReader(bufferBytes(content), file.littleEndian, 0, offset);
    } catch (error) {
      throw new DamagedPart(offset, `the section cannot be decompressed (${(error as Error).message})`);
    }
  }

  /** Follows the tables from `offset` to the last one. */
  function readTables(offset: number): void {
    for (let next = offset; next !== 0; ) {
      if (tables.has(next)) throw new DamagedPart(next, "the option tables run in a circle");
      tables.add(next);
      next = readTable(openSection(next, OPTION.DONE));
    }
  }

  /** @returns where the next table is; 0 when this is the last. */
  function readTable(table: ByteReader): number {
    for (;;) {
      const id = table.u16();
      const size = table.u32();
      const at = table.position;
      const data = new ByteReader(bufferBytes(table.bytes(size)), file.littleEndian, 0, at);
      if (id === OPTION.DONE) return size >= 8 ? data.size64() : 0;
      if (id === OPTION.BUFFER) addBuffer(readBufferOption(data));
      else if (id === OPTION.BUFFER_TEXT) {
        throw new UnreadableInput(
          `${path}: holds a latency trace as text; give the output of trace-cmd report instead`,
        );
      } else if (id >= OPTION.HEADER_INFO && size === 8) sections.set(id, data.size64());
      else readCommonOption(file.options, id, data);
    }
  }

  function addBuffer({ offset, buffer }: { offset: number; buffer: TraceBuffer }): void {
    if (bufferSections.has(offset)) return;
    buffer.isCompressed = readSection(offset).isCompressed;
    bufferSections.add(offset);
    file.buffers.push(buffer);
  }

  /** What no table leads to. */
  function walkSections(first: number): void {
    for (let offset = first; offset + SECTION_HEADER <= bytes.size; ) {
      const section = readSection(offset);
      const end = offset + SECTION_HEADER + section.size;
      if (section.id === OPTION.DONE) {
        if (!tables.has(offset)) attempt(() => readTables(offset));
      } else if (section.id === OPTION.BUFFER) {
        if (!bufferSections.has(offset)) recoverBuffer(section);
        // A recorder that was killed has not filled in the size.
        if (section.size === 0) return;
      } else if (section.id >= 15 && section.id <= 64) {
        if (!sections.has(section.id)) sections.set(section.id, offset);
      } else throw new DamagedPart(offset, "no section begins here");
      offset = end;
    }
  }

  function recoverBuffer(section: Section): void {
    const start = section.offset + SECTION_HEADER;
    const end = section.size === 0 ? bytes.size : Math.min(bytes.size, start + section.size);
    const { pageSize, littleEndian } = file;
    const find = section.isCompressed ? findChunkLists : findPageRuns;
    const cpus = find(bytes, { start, end, pageSize, littleEndian });
    if (cpus.length === 0) return;
    bufferSections.add(section.offset);
    file.isRecovered = true;
    file.buffers.push({ name: "", clock: null, pageSize, isCompressed: section.isCompressed, cpus });
    report(
      "error",
      section.offset,
      `the table of this buffer is lost: found data of ${cpus.length} CPUs, numbered from 0 because their numbers are unknown`,
    );
  }

  /** @returns whether `read` found everything in order; what is not is reported. */
  function attempt(read: () => void): boolean {
    try {
      read();
      return true;
    } catch (error) {
      if (!(error instanceof DamagedPart)) throw error;
      report("error", error.offset, error.message);
      return false;
    }
  }

  /** Does `read` with a section's content, if the file has it. */
  function readPart(id: number, read: (section: ByteReader) => void): void {
    const offset = sections.get(id);
    if (offset !== undefined) attempt(() => read(openSection(offset, id)));
  }

  const firstTable = reader.size64();
  const firstSection = reader.position;
  if (!attempt(() => readTables(firstTable))) attempt(() => walkSections(firstSection));

  readPart(OPTION.HEADER_INFO, (section) => {
    file.pageHeader = readHeaderInfo(section) ?? file.pageHeader;
  });
  readPart(OPTION.FTRACE_EVENTS, (section) => readFtraceFormats(section, file.formats));
  readPart(OPTION.EVENT_FORMATS, (section) => readSystemFormats(section, file.formats));
  readPart(OPTION.CMDLINES, (section) => {
    file.comms = readComms(section);
  });
  const symbols = sections.get(OPTION.KALLSYMS);
  if (symbols !== undefined) {
    file.kallsyms = () => readKallsyms(openSection(symbols, OPTION.KALLSYMS))?.() ?? Buffer.alloc(0);
  }
}

function readBufferOption(data: ByteReader): { offset: number; buffer: TraceBuffer } {
  const offset = data.size64();
  const name = data.name();
  const clock = data.name();
  const pageSize = data.u32();
  const count = data.u32();
  if (count > MOST_CPUS) throw data.damaged(`${count} CPUs`);
  const cpus = Array.from({ length: count }, () => ({ cpu: data.u32(), offset: data.size64(), size: data.size64() }));
  return { offset, buffer: { name, clock: clock === "" ? null : clock, pageSize, isCompressed: false, cpus } };
}
