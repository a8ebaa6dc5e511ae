/** Writes a large perf.data out of a small one's samples, again and again. */
import { closeSync, openSync, writeSync } from "node:fs";
import { openInput } from "../import/input.js";
import { FILE_HEADER, noHeader, readFileHeader } from "../import/perf-data-header.js";
import { RECORD } from "../import/perf-data-records.js";

/** Between one round of the samples and the next; nanoseconds. */
const PAUSE = 1_000_000n;
/** Where the header has the size of the records, and its bits for the features behind them. */
const DATA_SIZE = 48;
const FEATURES = 72;

/**
 * Writes at least `atLeast` samples to `path`, out of a little-endian perf.data whose records are not compressed. Each
 * round has the times of the one before it moved on.
 * @returns how many samples it holds.
 */
export async function writeBigPerf(path: string, recording: string, atLeast: number): Promise<number> {
  const input = await openInput(recording);
  const bytes = { size: input.size ?? 0, read: input.read.bind(input) };
  const header = noHeader(true, false);
  const { start, end } = readFileHeader(bytes, header, () => {});
  const all = Buffer.from(bytes.read(0, bytes.size));
  input.close();
  const timeAt = header.layouts[0]?.time;
  if (timeAt == null) throw new Error(`${recording}: its samples have no time`);

  // What tells of processes and modules comes once; a sorted round is ended by a record of its own.
  const again = recordsOf(all.subarray(start, end)).filter(
    (record) => isOf(record, RECORD.SAMPLE) || isOf(record, RECORD.FINISHED_ROUND),
  );
  const round = Buffer.concat(again);
  const stamps: number[] = [];
  for (let at = 0, index = 0; at < round.length; at += again[index++]!.length) {
    if (isOf(again[index]!, RECORD.SAMPLE)) stamps.push(at + timeAt);
  }
  const times = stamps.map((at) => round.readBigUInt64LE(at)).sort((a, b) => (a < b ? -1 : 1));
  const step = times.at(-1)! - times[0]! + PAUSE;
  const rounds = Math.ceil(atLeast / stamps.length);

  const more = (rounds - 1) * round.length;
  const fd = openSync(path, "w");
  try {
    writeSync(fd, withLonger(all.subarray(0, start), more));
    writeSync(fd, all.subarray(start, end));
    for (let count = 1; count < rounds; count++) {
      for (const at of stamps) round.writeBigUInt64LE(round.readBigUInt64LE(at) + step, at);
      writeSync(fd, round);
    }
    writeSync(fd, movedFeatures(all, end, more));
  } finally {
    closeSync(fd);
  }
  return rounds * stamps.length;
}

function recordsOf(data: Buffer): Buffer[] {
  const records: Buffer[] = [];
  for (let at = 0; at < data.length; ) {
    const size = data.readUInt16LE(at + 6);
    records.push(data.subarray(at, at + size));
    at += size;
  }
  return records;
}

function isOf(record: Buffer, type: number): boolean {
  return record.readUInt32LE() === type;
}

function withLonger(head: Buffer, more: number): Buffer {
  const result = Buffer.from(head);
  result.writeBigUInt64LE(result.readBigUInt64LE(DATA_SIZE) + BigInt(more), DATA_SIZE);
  return result;
}

/** The features' table and the features, `more` bytes behind where they were: the table says where each one is. */
function movedFeatures(all: Buffer, tableAt: number, more: number): Buffer {
  const result = Buffer.from(all.subarray(tableAt));
  let at = 0;
  for (let bit = 0; bit < 8 * (FILE_HEADER - FEATURES); bit++) {
    if (((all[FEATURES + (bit >>> 3)]! >>> (bit & 7)) & 1) === 0) continue;
    result.writeBigUInt64LE(result.readBigUInt64LE(at) + BigInt(more), at);
    at += 16;
  }
  return result;
}
