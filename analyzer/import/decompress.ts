/** Decompression of the sections and chunks of a file: zlib by Node, zstd by WebAssembly. */

import { inflateSync } from "node:zlib";
import { ZSTDDecoder } from "zstddec/stream";

export type Algorithm = "zlib" | "zstd";

/** Turns `data` into exactly `size` bytes. @throws Error when it is damaged or has another size. */
export type Decompress = (data: Buffer, size: number) => Buffer;

export async function loadDecompressor(algorithm: Algorithm): Promise<Decompress> {
  if (algorithm === "zlib") return (data, size) => checkSize(inflateSync(data, { maxOutputLength: size }), size);
  const decoder = await loadZstd();
  return (data, size) => {
    const { buffer, byteOffset, length } = decoder.decode(data, size);
    return checkSize(Buffer.from(buffer, byteOffset, length), size);
  };
}

/** The zstd decoder reports damage by a short result only. */
function checkSize(result: Buffer, size: number): Buffer {
  if (result.length !== size) throw new Error(`${result.length} bytes came out instead of ${size}`);
  return result;
}

export type ZstdStream = Pick<ZSTDDecoder, "decodeStreaming">;

export async function loadZstd(): Promise<ZSTDDecoder> {
  const decoder = new ZSTDDecoder();
  await decoder.init();
  return decoder;
}

/**
 * Decodes a stream that comes in pieces. All that a piece gives comes out before the next one is asked for.
 * @throws Error when the data is damaged, and at the end of a stream that is not complete.
 */
export function* streamZstd(decoder: ZstdStream, pieces: Iterable<Uint8Array>): Generator<Uint8Array> {
  let idle = 0;
  function* watched() {
    for (const piece of pieces) {
      idle = 0;
      yield piece;
    }
  }
  for (const part of decoder.decodeStreaming(watched())) {
    // The decoder does not look at its library's errors, it repeats the failing call for ever.
    if (part.length === 0 && ++idle > 2) throw new Error("invalid data");
    if (part.length > 0) yield part;
  }
}
