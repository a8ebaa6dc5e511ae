/** Rows as SQLite stores them: the record format of https://sqlite.org/fileformat2.html, section 2.1. */
import { CELL, type PackedRows } from "./row-batch.js";

/** Serial types. Texts are 13 + 2 * their length. */
const NULL = 0;
const INTEGER_64 = 6;
const REAL = 7;
const ZERO = 8;
const ONE = 9;
const TEXT = 13;
/** Bytes of the body by serial type. */
const SIZES = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0];

const HOST_IS_LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
const [LOW, HIGH] = HOST_IS_LITTLE_ENDIAN ? [0, 1] : [1, 0];
const TWO_32 = 2 ** 32;
const LONGEST_VARINT = 9;

/** Takes the rows of one batch after the other, as records. */
export class RecordReader {
  /** The record of the row asked for last, from 0 to the length returned. */
  bytes = Buffer.alloc(1 << 12);
  /** Its rowid, where a column holds it. */
  rowid = 0;

  #kinds: Uint8Array = new Uint8Array(0);
  #numbers: Float64Array = new Float64Array(0);
  #words: Int32Array = new Int32Array(0);
  #texts: Buffer[] = [];
  readonly #width: number;
  readonly #types: Float64Array;

  /** `rowidColumn` is the one that is declared INTEGER PRIMARY KEY; -1 where there is none. */
  constructor(
    width: number,
    private readonly rowidColumn: number,
  ) {
    this.#width = width;
    this.#types = new Float64Array(width);
  }

  take({ kinds, values, texts }: PackedRows): void {
    this.#kinds = kinds;
    this.#numbers = new Float64Array(values);
    this.#words = new Int32Array(values);
    this.#texts = texts.map((text) => Buffer.from(text));
  }

  /** @returns the length of the row's record. */
  read(row: number): number {
    const first = row * this.#width;
    let header = 1;
    let body = 0;
    for (let column = 0; column < this.#width; column++) {
      const type = column === this.rowidColumn ? NULL : this.#typeOf(first + column);
      this.#types[column] = type;
      header += varintLength(type);
      body += type < TEXT ? SIZES[type]! : (type - TEXT) / 2;
    }
    if (this.rowidColumn >= 0) this.rowid = this.#numbers[first + this.rowidColumn]!;
    // A header of more than 127 bytes has its length in two.
    if (header > 127) header++;
    const length = header + body;
    if (length > this.bytes.length) this.bytes = Buffer.alloc(2 * length);
    const { bytes } = this;
    let at = putVarint(bytes, 0, header);
    for (let column = 0; column < this.#width; column++) at = putVarint(bytes, at, this.#types[column]!);
    for (let column = 0; column < this.#width; column++) at = this.#put(at, this.#types[column]!, first + column);
    return length;
  }

  #typeOf(cell: number): number {
    switch (this.#kinds[cell]) {
      case CELL.NULL:
        return NULL;
      case CELL.TEXT:
        return TEXT + 2 * this.#texts[this.#numbers[cell]!]!.length;
      case CELL.BIGINT:
        return integerType(this.#words[2 * cell + HIGH]!, this.#words[2 * cell + LOW]!);
      default: {
        const value = this.#numbers[cell]!;
        if ((value | 0) === value) return integerType(value >> 31, value | 0);
        return Number.isSafeInteger(value) ? INTEGER_64 : REAL;
      }
    }
  }

  #put(at: number, type: number, cell: number): number {
    const { bytes } = this;
    if (type === NULL || type === ZERO || type === ONE) return at;
    if (type >= TEXT) return at + this.#texts[this.#numbers[cell]!]!.copy(bytes, at);
    if (type === REAL) return bytes.writeDoubleBE(this.#numbers[cell]!, at);
    let low: number;
    let high: number;
    if (this.#kinds[cell] === CELL.BIGINT) {
      low = this.#words[2 * cell + LOW]!;
      high = this.#words[2 * cell + HIGH]!;
    } else {
      const value = this.#numbers[cell]!;
      high = Math.floor(value / TWO_32);
      low = value | 0;
      // Beyond 32 bits the double has to be taken apart.
      if (type === INTEGER_64) low = (value - high * TWO_32) | 0;
    }
    const end = at + SIZES[type]!;
    for (let byte = end - 1; byte >= at; byte--) {
      bytes[byte] = low;
      low = (low >>> 8) | (high << 24);
      high >>= 8;
    }
    return end;
  }
}

/** The smallest type that holds a signed integer, given in halves. */
function integerType(high: number, low: number): number {
  if (high !== low >> 31) return high >= -0x8000 && high < 0x8000 ? 5 : INTEGER_64;
  if (low === 0) return ZERO;
  if (low === 1) return ONE;
  if (low >= -0x80 && low < 0x80) return 1;
  if (low >= -0x8000 && low < 0x8000) return 2;
  if (low >= -0x80_0000 && low < 0x80_0000) return 3;
  return 4;
}

/** Bytes of a variable-length integer that is not negative. */
export function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 0x80 && length < LONGEST_VARINT; rest = Math.floor(rest / 0x80)) length++;
  return length;
}

/** @returns where the next byte belongs. */
export function putVarint(bytes: Uint8Array, at: number, value: number): number {
  if (value < 0x80) {
    bytes[at] = value;
    return at + 1;
  }
  const end = at + varintLength(value);
  let rest = value;
  for (let byte = end - 1; byte >= at; byte--) {
    bytes[byte] = (rest % 0x80) | (byte === end - 1 ? 0 : 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return end;
}
