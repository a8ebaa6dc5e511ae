/** Writes binary files for tests, in either byte order. */
export class ByteWriter {
  private parts: Buffer[] = [];
  private length = 0;

  constructor(readonly littleEndian: boolean) {}

  get position(): number {
    return this.length;
  }

  bytes(bytes: Buffer | string): this {
    const part = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes;
    this.parts.push(part);
    this.length += part.length;
    return this;
  }

  /** Text with a NUL behind. */
  name(text: string): this {
    return this.bytes(`${text}\0`);
  }

  u8(value: number): this {
    return this.bytes(Buffer.from([value]));
  }

  u16(value: number): this {
    return this.integer(BigInt(value), 2);
  }

  u32(value: number): this {
    return this.integer(BigInt(value), 4);
  }

  u64(value: number | bigint): this {
    return this.integer(BigInt(value), 8);
  }

  integer(value: bigint, size: number): this {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
    const part = bytes.subarray(0, size);
    return this.bytes(this.littleEndian ? part : part.reverse());
  }

  align(to: number): this {
    return this.bytes(Buffer.alloc((to - (this.length % to)) % to));
  }

  toBuffer(): Buffer {
    return Buffer.concat(this.parts);
  }
}
