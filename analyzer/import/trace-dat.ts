/**
 * Importer for trace.dat, versions 6 and 7.
 * Source: trace-cmd, Documentation/trace-cmd/trace-cmd.dat.v6.5.txt and .v7.5.txt; lib/trace-cmd/trace-input.c.
 */

import { type Algorithm, loadDecompressor } from "./decompress.js";
import { ByteReader, type Bytes, DamagedPart } from "./trace-dat-bytes.js";
import { isSanePageSize, type Report, reportTo, type TraceDatFile } from "./trace-dat-file.js";
import { noOptions } from "./trace-dat-options.js";
import { makeTraceDatReader } from "./trace-dat-reader.js";
import { readVersion6 } from "./trace-dat-v6.js";
import { readVersion7 } from "./trace-dat-v7.js";
import { type Diagnostic, type Importer, type Input, type TraceReader, UnreadableInput } from "./trace-event.js";

const MAGIC = Buffer.from("\x17\x08\x44tracing", "latin1");
const USUAL_PAGE_SIZE = 4096;

export const traceDat: Importer = {
  name: "trace.dat",
  about: "trace-cmd record: versions 6 and 7 (none, zlib, zstd), buffer instances, any clock, guests, cut files",
  priority: 10,
  sniff: (head) => head.subarray(0, MAGIC.length).equals(MAGIC),
  open,
};

async function open(input: Input): Promise<TraceReader> {
  const diagnostics: Diagnostic[] = [];
  const bytes: Bytes = { size: input.size ?? 0, read: input.read.bind(input) };
  const report = reportTo(diagnostics);
  const file = await readHeaders(input.path, bytes, report);
  if (file.formats.length === 0) {
    const reason = diagnostics[0]?.message ?? "there are none";
    throw new UnreadableInput(`${input.path}: its event formats cannot be read (${reason}); record it again`);
  }
  return makeTraceDatReader(input, bytes, file, diagnostics, report);
}

/** Everything in front of the events. @throws UnreadableInput */
export async function readHeaders(path: string, bytes: Bytes, report: Report): Promise<TraceDatFile> {
  const damaged = (error: DamagedPart) =>
    new UnreadableInput(`${path}: the header is damaged at byte ${error.offset} (${error.message}); record it again`);
  try {
    const start = new ByteReader(bytes, true, MAGIC.length);
    const version = Number(start.name());
    const littleEndian = start.u8() === 0;
    if (version !== 6 && version !== 7) {
      throw new UnreadableInput(
        `${path}: trace.dat version ${version} is not known; give the output of trace-cmd report`,
      );
    }
    const reader = new ByteReader(bytes, littleEndian, start.position);
    const userLong = reader.u8();
    let pageSize = reader.u32();
    if (!isSanePageSize(pageSize)) {
      report("error", reader.position - 4, `a page size of ${pageSize} bytes; taken as ${USUAL_PAGE_SIZE}`);
      pageSize = USUAL_PAGE_SIZE;
    }
    const longSize = userLong === 4 ? 4 : 8;
    const file: TraceDatFile = {
      version,
      littleEndian,
      pageSize,
      compression: "none",
      decompress: null,
      // The kernel's own, told by header_page, may differ from user space's.
      pageHeader: { longSize, dataOffset: 8 + longSize },
      formats: [],
      options: noOptions(),
      buffers: [],
      isRecovered: false,
      comms: new Map(),
      kallsyms: null,
    };
    if (version === 6) readVersion6(path, bytes, reader, file, report);
    else {
      file.compression = reader.name();
      reader.name();
      if (file.compression !== "none") file.decompress = await loadDecompressor(knownAlgorithm(path, file.compression));
      readVersion7(path, bytes, reader, file, report);
    }
    return file;
  } catch (error) {
    throw error instanceof DamagedPart ? damaged(error) : error;
  }
}

function knownAlgorithm(path: string, name: string): Algorithm {
  if (name === "zlib" || name === "zstd") return name;
  throw new UnreadableInput(
    `${path}: compression ${JSON.stringify(name)} is not known; give the output of trace-cmd report`,
  );
}
