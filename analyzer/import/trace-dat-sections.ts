/** Parts that versions 6 and 7 write alike: header info, event formats, task names. */

import { type EventFormat, type PageHeader, parseEventFormat, parsePageHeader } from "./event-format.js";
import type { ByteReader } from "./trace-dat-bytes.js";

/** No real format text or header text comes near. */
const LONGEST_FORMAT = 1 << 20;
const LONGEST_CMDLINES = 1 << 26;
const LONGEST_KALLSYMS = 1 << 28;

/** The kernel knows at most 8192. */
export const MOST_CPUS = 1 << 16;

/** `header_page` and `header_event`. @returns null when the page header's text does not tell its layout. */
export function readHeaderInfo(reader: ByteReader): PageHeader | null {
  let page: PageHeader | null = null;
  for (const expected of ["header_page", "header_event"]) {
    const start = reader.position;
    if (reader.name() !== expected) throw reader.damaged(`"${expected}" is missing`, start);
    const text = readText(reader, reader.size64());
    if (expected === "header_page") page = parsePageHeader(text);
  }
  return page;
}

/** The formats of group `ftrace`. */
export function readFtraceFormats(reader: ByteReader, into: EventFormat[]): void {
  readFormats(reader, "ftrace", into);
}

/** The formats of all other groups that were recorded. */
export function readSystemFormats(reader: ByteReader, into: EventFormat[]): void {
  for (let systems = reader.u32(); systems > 0; systems--) readFormats(reader, reader.name(), into);
}

function readFormats(reader: ByteReader, system: string, into: EventFormat[]): void {
  for (let events = reader.u32(); events > 0; events--) {
    const format = parseEventFormat(readText(reader, reader.size64()), system);
    if (format !== null) into.push(format);
  }
}

function readText(reader: ByteReader, length: number): string {
  if (length > LONGEST_FORMAT) throw reader.damaged(`a format text claims ${length} bytes`);
  return reader.bytes(length).toString("latin1");
}

/** The text of kallsyms, with its length in front; passed over here, and read when the result is called. */
export function readKallsyms(reader: ByteReader): (() => Buffer) | null {
  const length = reader.u32();
  const start = reader.skip(length);
  if (length === 0) return null;
  return () => {
    if (length > LONGEST_KALLSYMS) throw reader.damaged(`the symbols claim ${length} bytes`, start);
    reader.position = start;
    return reader.bytes(length);
  };
}

/** `PID comm` per line; the name may contain spaces. */
export function readComms(reader: ByteReader): Map<number, string> {
  const length = reader.size64();
  if (length > LONGEST_CMDLINES) throw reader.damaged(`the task names claim ${length} bytes`);
  const comms = new Map<number, string>();
  for (const line of reader.bytes(length).toString("utf8").split("\n")) {
    const [, tid, comm] = /^(\d{1,10}) (.*)$/.exec(line) ?? [];
    if (comm !== undefined && comm !== "<...>") comms.set(Number(tid), comm);
  }
  return comms;
}
