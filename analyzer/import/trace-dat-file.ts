/** What the headers of a trace.dat say, in the same form for both versions of the format. */

import type { Decompress } from "./decompress.js";
import type { EventFormat, PageHeader } from "./event-format.js";
import type { TraceDatOptions } from "./trace-dat-options.js";
import type { Diagnostic } from "./trace-event.js";

/** The recorded data of one CPU in one buffer. */
export interface CpuData {
  cpu: number;
  /** Bytes in the file. */
  offset: number;
  size: number;
}

/** A ring buffer: the top one, or a tracefs instance. */
export interface TraceBuffer {
  /** Empty for the top buffer. */
  name: string;
  /** null where only the file as a whole has a clock. */
  clock: string | null;
  pageSize: number;
  /** Whether the data is compressed in chunks; raw pages else. */
  isCompressed: boolean;
  cpus: CpuData[];
}

export interface TraceDatFile {
  version: 6 | 7;
  littleEndian: boolean;
  /** Of the machine that was traced; buffers may have larger ones. */
  pageSize: number;
  /** As the file names it: `none`, `zlib`, `zstd`. */
  compression: string;
  /** null for uncompressed files. */
  decompress: Decompress | null;
  pageHeader: PageHeader;
  formats: EventFormat[];
  options: TraceDatOptions;
  buffers: TraceBuffer[];
  /** The table of a buffer was lost, so that data of more CPUs may be missing. */
  isRecovered: boolean;
  /** Task names by thread id. */
  comms: Map<number, string>;
  /** The text of kallsyms, read when called. @throws DamagedPart */
  kallsyms: (() => Buffer) | null;
}

/** Pages are powers of two; with sub-buffers (`buffer_subbuf_size_kb`) they may be megabytes. */
export function isSanePageSize(bytes: number): boolean {
  return bytes >= 1024 && bytes <= 64 << 20 && (bytes & (bytes - 1)) === 0;
}

/** Where findings about the file go; `offset` in bytes, null for the whole file. */
export type Report = (severity: Diagnostic["severity"], offset: number | null, message: string) => void;

/** A damaged file may hold a finding per page: nobody reads more than these. */
const MOST_DIAGNOSTICS = 200;

/** @returns a function that adds to `diagnostics`, up to a limit that it names. */
export function reportTo(diagnostics: Diagnostic[]): Report {
  return (severity, offset, message) => {
    if (diagnostics.length < MOST_DIAGNOSTICS) diagnostics.push({ severity, offset, line: null, message });
    else if (diagnostics.length === MOST_DIAGNOSTICS) {
      diagnostics.push({ severity: "warning", offset: null, line: null, message: "more findings are left out" });
    }
  };
}
