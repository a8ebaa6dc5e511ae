/** Sequential reading of a trace.dat's headers, with every length checked against the file. */

/** A part of the file does not make sense. Caught by the importer, which reports it and reads on elsewhere. */
export class DamagedPart extends Error {
  constructor(
    readonly offset: number,
    message: string,
  ) {
    super(message);
  }
}

/** Bytes with random access: the file, or a decompressed section of it. */
export interface Bytes {
  size: number;
  read(offset: number, length: number, into?: Buffer): Buffer;
}

const WINDOW = 0x10000;
const LONGEST_NAME = 4096;

export class ByteReader {
  private window: Buffer = Buffer.alloc(0);
  private windowStart = 0;

  constructor(
    private readonly source: Bytes,
    private readonly littleEndian: boolean,
    public position = 0,
    /** Added to positions in messages; for a decompressed section, where it starts in the file. */
    private readonly origin = 0,
  ) {}

  get remaining(): number {
    return this.source.size - this.position;
  }

  u8(): number {
    return this.small(1)[0]!;
  }

  u16(): number {
    const bytes = this.small(2);
    return this.littleEndian ? bytes.readUInt16LE() : bytes.readUInt16BE();
  }

  u32(): number {
    const bytes = this.small(4);
    return this.littleEndian ? bytes.readUInt32LE() : bytes.readUInt32BE();
  }

  u64(): bigint {
    const bytes = this.small(8);
    return this.littleEndian ? bytes.readBigUInt64LE() : bytes.readBigUInt64BE();
  }

  /** A 64-bit size or offset; values that no file can have become Infinity, which every check refuses. */
  size64(): number {
    const value = this.u64();
    return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.POSITIVE_INFINITY : Number(value);
  }

  /** Text up to NUL. */
  name(): string {
    const start = this.position;
    for (let length = 0; length < LONGEST_NAME; length++) {
      if (this.u8() === 0) {
        return this.source.read(start, length).toString("utf8");
      }
    }
    throw this.damaged("a name has no end", start);
  }

  bytes(length: number): Buffer {
    this.require(length);
    const bytes = this.source.read(this.position, length);
    if (bytes.length < length) throw this.damaged(`${length} bytes could not be read`);
    this.position += length;
    return bytes;
  }

  /** Passes over `length` bytes and returns where they start. */
  skip(length: number): number {
    this.require(length);
    const start = this.position;
    this.position += length;
    return start;
  }

  damaged(message: string, position = this.position): DamagedPart {
    return new DamagedPart(this.origin + position, message);
  }

  private require(length: number): void {
    if (length <= this.remaining) return;
    if (this.remaining < 0) throw this.damaged(`this lies behind the end, which is at byte ${this.source.size}`);
    throw this.damaged(`${length} bytes are announced, ${this.remaining} are left`);
  }

  private small(length: number): Buffer {
    this.require(length);
    let at = this.position - this.windowStart;
    if (at < 0 || at + length > this.window.length) {
      this.window = this.source.read(this.position, WINDOW);
      this.windowStart = this.position;
      at = 0;
      if (this.window.length < length) throw this.damaged("the file ends here");
    }
    this.position += length;
    return this.window.subarray(at, at + length);
  }
}

export function bufferBytes(buffer: Buffer): Bytes {
  return { size: buffer.length, read: (offset, length) => buffer.subarray(offset, offset + length) };
}
