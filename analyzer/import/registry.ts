/** Knows all formats, and opens what the user names by its content. */

import type { Readable } from "node:stream";
import { bpftrace } from "./bpftrace.js";
import { ftraceText } from "./ftrace-text.js";
import { type OpenedInput, openInput } from "./input.js";
import { kallsymsFile } from "./kallsyms-file.js";
import { kernelLog } from "./kernel-log.js";
import { perfData } from "./perf-data.js";
import { perfScript } from "./perf-script.js";
import { snapshotFile } from "./snapshot.js";
import { traceDat } from "./trace-dat.js";
import { type Gap, type Importer, type Nanoseconds, type TraceReader, UnreadableInput } from "./trace-event.js";

/** In the order in which they are asked. */
export const importers: readonly Importer[] = [
  snapshotFile,
  traceDat,
  perfData,
  kallsymsFile,
  perfScript,
  bpftrace,
  ftraceText,
  kernelLog,
].sort((a, b) => a.priority - b.priority);

/** @param path a file, packed or not; `-` for standard input. @throws UnreadableInput */
export async function openTrace(path: string, standardInput?: Readable): Promise<TraceReader> {
  const input = await openInput(path, standardInput);
  try {
    const importer = importers.find((candidate) => candidate.sniff(input.head));
    if (importer === undefined) throw new UnreadableInput(`${path}: ${unknownFormat(input.head)}`);
    const reader = await importer.open(input);
    return input.damage === null ? reader : withDamage(reader, input.damage);
  } catch (error) {
    input.close();
    throw error;
  }
}

/** A packed file that ends early: whatever its format, what is missing is a gap at the end. */
function withDamage(reader: TraceReader, damage: NonNullable<OpenedInput["damage"]>): TraceReader {
  const { facts } = reader;
  facts.diagnostics.push({ severity: "error", offset: null, line: null, message: damage });
  return {
    facts,
    async *read(wants) {
      yield* reader.read(wants);
      let from: Nanoseconds | null = null;
      for (const { last } of facts.cpus.values()) if (from === null || last < from) from = last;
      const gap: Gap = { kind: "gap", code: "damaged", cpu: null, from, to: null, lost: null };
      facts.gaps.push(gap);
      yield [gap];
    },
    close: () => reader.close(),
  };
}

function unknownFormat(head: Buffer): string {
  const start = head.toString("latin1", 0, 4);
  if (start.startsWith("BZh") || start === "PK\x03\x04") return "is packed in a way that is not known; unpack it first";
  return "its format is not known; `ktally formats` lists those that are";
}
