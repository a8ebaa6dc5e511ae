/**
 * Importer for perf.data, in a file or through a pipe (`perf record -o -`), plain or compressed (`-z`).
 * Source: tools/perf/Documentation/perf.data-file-format.txt.
 */

import { loadZstd } from "./decompress.js";
import { FILE_HEADER, noHeader, readFileHeader } from "./perf-data-header.js";
import { makePerfReader } from "./perf-data-reader.js";
import { type Bytes, DamagedPart } from "./trace-dat-bytes.js";
import { reportTo } from "./trace-dat-file.js";
import { type Diagnostic, type Importer, type Input, type TraceReader, UnreadableInput } from "./trace-event.js";

const MAGIC = "PERFILE2";
/** As a machine of the other byte order writes it. */
const MAGIC_BIG = "2ELIFREP";
/** Before Linux 2.6.32. */
const OLD_MAGIC = "PERFFILE";
const PIPE_HEADER = 16;

export const perfData: Importer = {
  name: "perf.data",
  about: "perf record: files and pipes, plain or compressed; tracepoints and probes, with call chains",
  priority: 20,
  sniff: (head) => [MAGIC, MAGIC_BIG, OLD_MAGIC].includes(head.toString("latin1", 0, 8)),
  open,
};

async function open(input: Input): Promise<TraceReader> {
  const magic = input.head.toString("latin1", 0, 8);
  if (magic === OLD_MAGIC) {
    throw new UnreadableInput(`${input.path}: perf.data of the first version; give the output of perf script`);
  }
  const littleEndian = magic === MAGIC;
  const bytes: Bytes = { size: input.size ?? 0, read: input.read.bind(input) };
  const diagnostics: Diagnostic[] = [];
  const report = reportTo(diagnostics);
  const headerSize = input.head.length < PIPE_HEADER ? 0 : sizeOfHeader(input.head, littleEndian);
  const isPipe = headerSize === PIPE_HEADER;
  if (!isPipe && (headerSize < FILE_HEADER || bytes.size < FILE_HEADER)) {
    throw new UnreadableInput(`${input.path}: the header is damaged at byte 8 (its size is wrong); record it again`);
  }
  const header = noHeader(littleEndian, isPipe);
  try {
    const area = isPipe ? { start: PIPE_HEADER, end: bytes.size } : readFileHeader(bytes, header, report);
    const zstd = header.isCompressed || isPipe ? await loadZstd() : null;
    return makePerfReader(input, bytes, { ...area, header, zstd }, diagnostics, report);
  } catch (error) {
    if (!(error instanceof DamagedPart)) throw error;
    throw new UnreadableInput(
      `${input.path}: the header is damaged at byte ${error.offset} (${error.message}); record it again`,
    );
  }
}

function sizeOfHeader(head: Buffer, littleEndian: boolean): number {
  const size = littleEndian ? head.readBigUInt64LE(8) : head.readBigUInt64BE(8);
  return size > 0xffffn ? 0 : Number(size);
}
