/** Decompression of the sections and chunks of a file: zlib by Node, zstd by WebAssembly. */

import { inflateSync } from "node:zlib";
import { ZSTDDecoder } from "zstddec/stream";

export type Algorithm = "zlib" | "zstd";

/** Turns `data` into exactly `size` bytes. @throws Error when it is damaged or has another size. */
export type Decompress = (data: Buffer, size: number) => Buffer;

export async function loadDecompressor(algorithm: Algorithm): Promise<Decompress> {
  if (algorithm === "zlib") return (data, size) => checkSize(inflateSync(data, { maxOutputLength: size }), size);
  const decoder = new ZSTDDecoder();
  await decoder.init();
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
