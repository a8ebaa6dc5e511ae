/** Files packed as a whole: gzip, xz, zstd. */

import { Readable } from "node:stream";
import { ReadableStream } from "node:stream/web";
import { createGunzip, createInflate, type Gunzip, type Inflate } from "node:zlib";
import xz from "xz-decompress";
import { loadZstd, streamZstd } from "./decompress.js";
import { Spool } from "./spool.js";

export type Wrapper = "gzip" | "xz" | "zstd" | "atrace";

const MAGICS: readonly [Wrapper, string][] = [
  ["gzip", "\x1f\x8b\x08"],
  ["xz", "\xfd7zXZ\0"],
  ["zstd", "\x28\xb5\x2f\xfd"],
  // `atrace -z` writes its own first line and then a zlib stream.
  ["atrace", "TRACE:\n\x78"],
];
const ATRACE_LINE = "TRACE:\n".length;

/** How the first bytes say that a file is packed; null when they do not. */
export function detectWrapper(head: Buffer): Wrapper | null {
  return MAGICS.find(([, magic]) => head.toString("latin1", 0, magic.length) === magic)?.[0] ?? null;
}

/** A file that unpacks to more than these is a trap: it would fill the disk. */
export interface UnwrapLimits {
  bytes: number;
  /** Unpacked to packed bytes; applies beyond `ratioFrom` unpacked bytes. */
  ratio: number;
  ratioFrom: number;
}

const LIMITS: UnwrapLimits = { bytes: 64 * 2 ** 30, ratio: 1000, ratioFrom: 2 ** 28 };

export class UnpacksTooLarge extends Error {}

export interface Unwrapped {
  content: Spool;
  /** Why the content ends early; null when it is whole. */
  damage: string | null;
}

/** Unpacks `pieces`. What came out before damage is kept. @throws UnpacksTooLarge, and errors of the file system */
export async function unwrap(
  wrapper: Wrapper,
  pieces: Iterable<Buffer>,
  limits: UnwrapLimits = LIMITS,
): Promise<Unwrapped> {
  const content = new Spool();
  let packed = 0;
  /** Of reading or of keeping; all other errors are the decoder's. */
  let ownFailure: unknown = null;
  const own = <Result>(action: () => Result): Result => {
    try {
      return action();
    } catch (error) {
      ownFailure = error;
      throw error;
    }
  };
  function* counted() {
    const iterator = pieces[Symbol.iterator]();
    for (let next = own(() => iterator.next()); next.done !== true; next = own(() => iterator.next())) {
      packed += next.value.length;
      yield next.value;
    }
  }
  const keep = (part: Uint8Array) =>
    own(() => {
      const size = content.size + part.length;
      if (size > limits.bytes || (size > limits.ratioFrom && size > packed * limits.ratio)) {
        throw new UnpacksTooLarge(`${packed} bytes of ${wrapper} data unpack to more than ${size}`);
      }
      content.append(part);
    });

  try {
    await UNPACK[wrapper](counted(), keep);
    return { content, damage: null };
  } catch (error) {
    if (ownFailure === null) return { content, damage: `the ${wrapper} data is cut or damaged (${describe(error)})` };
    content.close();
    throw ownFailure;
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function inflate(stream: Gunzip | Inflate, pieces: Iterable<Buffer>, keep: (part: Uint8Array) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    // Neither iterating nor piping: both drop what is ready when an error comes.
    stream.on("data", (part: Buffer) => {
      try {
        keep(part);
      } catch (error) {
        stream.destroy(error as Error);
      }
    });
    stream.on("end", resolve);
    stream.on("error", reject);
    Readable.from(pieces).on("error", reject).pipe(stream);
  });
}

/** All but the first bytes. */
function* without(count: number, pieces: Iterable<Buffer>): Generator<Buffer> {
  let left = count;
  for (const piece of pieces) {
    const rest = piece.subarray(left);
    left = Math.max(0, left - piece.length);
    if (rest.length > 0) yield rest;
  }
}

type Unpack = (pieces: Iterable<Buffer>, keep: (part: Uint8Array) => void) => Promise<void>;

const UNPACK: Record<Wrapper, Unpack> = {
  gzip: (pieces, keep) => inflate(createGunzip(), pieces, keep),
  atrace: (pieces, keep) => inflate(createInflate(), without(ATRACE_LINE, pieces), keep),

  async xz(pieces, keep) {
    const iterator = pieces[Symbol.iterator]();
    // Not Readable.toWeb(): its adapter throws into nowhere when the decoder gives up early.
    const packed = new ReadableStream<Uint8Array>({
      pull(controller) {
        const next = iterator.next();
        if (next.done === true) controller.close();
        else controller.enqueue(next.value);
      },
    });
    const unpacked = new xz.XzReadableStream(packed as globalThis.ReadableStream<Uint8Array>);
    for await (const part of unpacked as ReadableStream<Uint8Array>) keep(part);
  },

  async zstd(pieces, keep) {
    for (const part of streamZstd(await loadZstd(), pieces)) keep(part);
  },
};
