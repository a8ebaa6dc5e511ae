/** Writes a large trace.dat out of a small recording's pages, again and again. */

import { closeSync, openSync, writeSync } from "node:fs";
import { factsOf, stampsOf } from "./pages.js";
import type { Recording } from "./recording.js";

/** Between one round of the pages and the next; nanoseconds. */
const PAUSE = 1_000_000n;

/**
 * Writes at least `atLeast` events to `path`. Each round has the times of the one before it moved on, so objects live
 * and die in it as they did in the recording.
 * @returns how many events it holds.
 */
export function writeBigTrace(path: string, recording: Recording, atLeast: number): number {
  const { perRound, span } = measureRound(recording);
  const rounds = Math.ceil(atLeast / perRound);
  const fd = openSync(path, "w");
  try {
    writeSync(fd, headFor(recording, rounds));
    for (const pages of recording.cpus) for (const round of roundsOf(pages, rounds, span)) writeSync(fd, round);
  } finally {
    closeSync(fd);
  }
  return rounds * perRound;
}

/** The recording so many times, in memory. */
export function repeated(recording: Recording, rounds: number): Recording {
  const { span } = measureRound(recording);
  const cpus = recording.cpus.map((pages) =>
    Buffer.concat(Array.from(roundsOf(pages, rounds, span), (round) => Buffer.from(round))),
  );
  return { ...recording, cpus };
}

/** A CPU's pages again and again, each time later; the same buffer every time. */
function* roundsOf(pages: Buffer, rounds: number, span: bigint): Generator<Buffer> {
  const round = Buffer.from(pages);
  const stamps = stampsOf(pages);
  for (let count = 0n; count < rounds; count++) {
    for (const at of stamps) round.writeBigUInt64LE(pages.readBigUInt64LE(at) + count * (span + PAUSE), at);
    yield round;
  }
}

function measureRound({ cpus }: Recording): { perRound: number; span: bigint } {
  let perRound = 0;
  const times: bigint[] = [];
  for (const pages of cpus) {
    const facts = factsOf(pages);
    if (facts === null) continue;
    perRound += facts.records;
    times.push(facts.first, facts.last);
  }
  times.sort((a, b) => (a < b ? -1 : 1));
  return { perRound, span: times.at(-1)! - times[0]! };
}

/** The recording's head with the table of the longer data. */
function headFor({ head, table, cpus }: Recording, rounds: number): Buffer {
  const result = Buffer.from(head);
  let offset = head.length;
  for (const [cpu, pages] of cpus.entries()) {
    const size = pages.length * rounds;
    result.writeBigUInt64LE(BigInt(offset), table + 16 * cpu);
    result.writeBigUInt64LE(BigInt(size), table + 16 * cpu + 8);
    offset += size;
  }
  return result;
}
