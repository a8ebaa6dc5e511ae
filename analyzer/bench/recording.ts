/** A bundled recording in parts: what stands before the pages of a trace.dat, and the pages themselves. */

import type { EventFormat } from "../import/event-format.js";
import { openInput } from "../import/input.js";
import { readHeaders } from "../import/trace-dat.js";

export interface Recording {
  pageSize: number;
  formats: readonly EventFormat[];
  /** Everything before the pages. */
  head: Buffer;
  /** Offset in `head` of the table that says where the pages are: `u64 offset, u64 size` for each CPU. */
  table: number;
  /** Pages by CPU, as one. */
  cpus: Buffer[];
}

const TABLE_TAG = "flyrecord\0";

/** Reads a trace.dat of version 6, from a little-endian machine and without instances. */
export async function readRecording(path: string): Promise<Recording> {
  const input = await openInput(path);
  try {
    const bytes = { size: input.size ?? 0, read: input.read.bind(input) };
    const { version, pageSize, formats, buffers } = await readHeaders(path, bytes, () => {});
    const [buffer] = buffers;
    if (version !== 6 || buffer === undefined) throw new Error(`${path}: is no trace.dat of version 6 with events`);
    const head = bytes.read(0, Math.min(...buffer.cpus.map((cpu) => cpu.offset)));
    const table = head.indexOf(TABLE_TAG) + TABLE_TAG.length;
    const cpus = buffer.cpus.map(({ offset, size }) => bytes.read(offset, size));
    return { pageSize, formats, head, table, cpus };
  } finally {
    input.close();
  }
}
