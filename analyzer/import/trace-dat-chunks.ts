/** The recorded data of one CPU, read piece by piece: raw pages, or chunks of compressed pages. */

import type { Decompress } from "./decompress.js";
import type { Bytes } from "./trace-dat-bytes.js";
import type { CpuData } from "./trace-dat-file.js";

/** A run of pages; all whole, except that the last one of a cut file may be short. Valid until the next is asked for. */
export interface Pages {
  kind: "pages";
  bytes: Buffer;
  /** Where the pages, or the compressed chunk with them, are in the file. */
  offset: number;
  isCompressed: boolean;
}

/** A part of the data that cannot be had. */
export interface MissingPages {
  kind: "missing";
  offset: number;
  message: string;
}

const LARGEST_CHUNK = 64 << 20;
const LARGEST_RATIO = 1000;

/** Whether a compressed piece may be what it says; a hostile file must not make us ask for gigabytes. */
export function isSaneSize(compressed: number, uncompressed: number, pageSize: number): boolean {
  if (Math.max(compressed, uncompressed) > LARGEST_CHUNK) return false;
  return uncompressed <= LARGEST_RATIO * compressed + 16 * pageSize;
}

/** @param pieceBytes how much to read at once, about; rounded down to whole pages */
export function* readRawPages(
  file: Bytes,
  data: CpuData,
  pageSize: number,
  pieceBytes: number,
): Generator<Pages | MissingPages> {
  const end = Math.min(data.offset + data.size, file.size);
  const step = Math.max(pageSize, pieceBytes - (pieceBytes % pageSize));
  const memory = Buffer.allocUnsafeSlow(Math.max(0, Math.min(step, end - data.offset)));
  for (let offset = data.offset; offset < end; offset += step) {
    const bytes = file.read(offset, Math.min(step, end - offset), memory);
    yield { kind: "pages", bytes, offset, isCompressed: false };
  }
  const missing = data.offset + data.size - Math.max(end, data.offset);
  if (missing > 0) {
    yield {
      kind: "missing",
      offset: file.size,
      message: `the file ends, ${missing} bytes of CPU ${data.cpu} are missing`,
    };
  }
}

/** `u32 count, { u32 compressed size, u32 size, data }*` */
export function* readCompressedPages(
  file: Bytes,
  data: CpuData,
  pageSize: number,
  littleEndian: boolean,
  decompress: Decompress,
): Generator<Pages | MissingPages> {
  // trace-cmd 3.1 leaves the count's own four bytes out of the size, later ones do not.
  const end = Math.min(data.offset + data.size + 4, file.size);
  const u32 = (bytes: Buffer, at: number) => (littleEndian ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
  const head = data.offset + 4 <= end ? file.read(data.offset, 4) : Buffer.alloc(0);
  if (head.length < 4) {
    yield { kind: "missing", offset: file.size, message: `the file ends before the data of CPU ${data.cpu}` };
    return;
  }
  let offset = data.offset + 4;
  for (let left = u32(head, 0); left > 0; left--) {
    const sizes = offset + 8 <= end ? file.read(offset, 8) : Buffer.alloc(0);
    const compressed = sizes.length === 8 ? u32(sizes, 0) : 0;
    if (sizes.length < 8 || offset + 8 + compressed > end) {
      const what = end === file.size ? "the file ends" : "the chunks run over the end of the data";
      yield { kind: "missing", offset, message: `${what}, ${left} chunks of CPU ${data.cpu} are missing` };
      return;
    }
    const size = u32(sizes, 4);
    if (!isSaneSize(compressed, size, pageSize)) {
      yield {
        kind: "missing",
        offset,
        message: `a chunk of CPU ${data.cpu} claims ${size} bytes out of ${compressed}`,
      };
    } else if (size > 0) {
      yield decompressPages(file.read(offset + 8, compressed), size, offset, data.cpu, decompress);
    }
    offset += 8 + compressed;
  }
}

function decompressPages(
  compressed: Buffer,
  size: number,
  offset: number,
  cpu: number,
  decompress: Decompress,
): Pages | MissingPages {
  try {
    return { kind: "pages", bytes: decompress(compressed, size), offset, isCompressed: true };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { kind: "missing", offset, message: `a chunk of CPU ${cpu} cannot be decompressed (${reason})` };
  }
}
