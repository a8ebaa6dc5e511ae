/** Values of a raw event record, by the fields of its format. */

import type { Field } from "./event-format.js";
import type { Address, Value } from "./trace-event.js";

/** Where a record lies. Kept and refilled by the reader, so that no object is made per record. */
export interface RecordBytes {
  bytes: Buffer;
  /** Over the same bytes. */
  view: DataView;
  littleEndian: boolean;
  /** Offset of the record (its `common_type`) in `bytes`. */
  start: number;
  /** First byte behind it; may be up to three bytes too far, because records are padded to four. */
  end: number;
  texts: TextTable;
}

/** More than a trace has of short texts that come again; bounds memory on hostile input. */
const MOST_TEXTS = 4096;
const LONGEST_TEXT = 64;

/** One string for all equal texts of a source: most records repeat one (a module's name, a task's). */
export class TextTable {
  private readonly byHash = new Map<number, { bytes: Buffer; text: string }>();

  /** The text in `bytes[start..end)`. */
  read(bytes: Buffer, start: number, end: number): string {
    if (end - start > LONGEST_TEXT) return bytes.toString("utf8", start, end);
    let hash = end - start;
    for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + bytes[at]!) | 0;
    const known = this.byHash.get(hash);
    if (known !== undefined && isEqual(known.bytes, bytes, start, end)) return known.text;
    const text = bytes.toString("utf8", start, end);
    if (this.byHash.size >= MOST_TEXTS) this.byHash.clear();
    this.byHash.set(hash, { bytes: Buffer.from(bytes.subarray(start, end)), text });
    return text;
  }
}

function isEqual(known: Buffer, bytes: Buffer, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  for (let at = start; at < end; at++) if (known[at - start] !== bytes[at]) return false;
  return true;
}

/** What the kernel writes instead of a string that it could not read. */
const FAULT = "(fault)";

/** @returns null for `(fault)`, and where the record is too short to hold the field. */
export function readValue(record: RecordBytes, field: Field): Value {
  if (field.content === "integer") return readInteger(record, field);
  const at = record.start + field.offset;
  let start = at;
  let end = field.size === 0 ? record.end : at + field.size;
  if (field.place !== "here") {
    if (end > record.end) return null;
    const locator = record.view.getUint32(at, record.littleEndian);
    start = (field.place === "rel_loc" ? at + 4 : record.start) + (locator & 0xffff);
    end = start + (locator >>> 16);
  }
  if (start > record.end || end > record.end) return null;
  if (field.content === "bytes") return record.bytes.toString("hex", start, end);
  let stop = start;
  while (stop < end && record.bytes[stop] !== 0) stop++;
  const text = record.texts.read(record.bytes, start, stop);
  return text === FAULT ? null : text;
}

/** An address field (of content `integer`, as large as the kernel's long); null where the record is too short. */
export function readAddress(record: RecordBytes, field: Field): Address | null {
  const value = readInteger(record, field);
  return value === null ? null : BigInt.asUintN(64, value);
}

/** The field must be of content `integer`. @returns null where the record is too short */
export function readInteger({ view, littleEndian, start, end }: RecordBytes, field: Field): bigint | null {
  const at = start + field.offset;
  if (at + field.size > end) return null;
  switch (field.size) {
    case 1:
      return BigInt(field.signed ? view.getInt8(at) : view.getUint8(at));
    case 2:
      return BigInt(field.signed ? view.getInt16(at, littleEndian) : view.getUint16(at, littleEndian));
    case 4:
      return BigInt(field.signed ? view.getInt32(at, littleEndian) : view.getUint32(at, littleEndian));
    default:
      return field.signed ? view.getBigInt64(at, littleEndian) : view.getBigUint64(at, littleEndian);
  }
}
