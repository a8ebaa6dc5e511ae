/** How a recording came to us says nothing of the kernel: clocks that differ a little, and a trace in several files. */
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { defaultCatalog } from "../collectors/catalog/default.js";
import { auditReaders } from "./audit.js";
import type { TraceItem } from "./import/trace-event.js";
import {
  alarms,
  auditRecording,
  findingLines,
  ledgers,
  memoryReader,
  type Recording,
  record,
} from "./testing/audits.js";
import { RECORDED, searched, share } from "./testing/searches.js";

const FOLDER = new URL("../fixtures/", import.meta.url).pathname;
const search = searched("KTALLY_ARRANGEMENT_RUNS", 2);
const catalog = defaultCatalog();

/** Each CPU's clock goes ahead by so many nanoseconds; what the file holds is in order of time again. */
function skewed(items: readonly TraceItem[], ahead: readonly number[]): TraceItem[] {
  const shift = (time: bigint | null, cpu: number | null) =>
    time === null || cpu === null ? time : time + BigInt(ahead[cpu % ahead.length] ?? 0);
  const shifted = items.map((item): TraceItem => {
    if (item.kind === "gap") return { ...item, from: shift(item.from, item.cpu), to: shift(item.to, item.cpu) };
    return { ...item, time: shift(item.time, item.cpu) ?? 0n, nextOnCpu: shift(item.nextOnCpu, item.cpu) };
  });
  const timeOf = (item: TraceItem) => (item.kind === "gap" ? (item.to ?? item.from ?? 0n) : item.time);
  return shifted.sort((a, b) => (timeOf(a) < timeOf(b) ? -1 : timeOf(a) > timeOf(b) ? 1 : 0));
}

/** Consecutive parts, cut between events of different times: as a recorder that begins a new file now and then. */
function parts(items: readonly TraceItem[], cuts: readonly number[]): TraceItem[][] {
  const places = [...new Set(cuts.map((cut) => Math.floor(cut * items.length)))].sort((a, b) => a - b);
  return [0, ...places].map((from, index) => items.slice(from, places[index] ?? items.length));
}

describe.each(RECORDED)("%s", (name) => {
  let recording: Recording;
  beforeAll(async () => {
    recording = await record(`${FOLDER}${name}.dat.xz`);
  });

  it("with clocks a few microseconds apart raises no alarm of its own", async () => {
    const known = alarms(await auditRecording(recording));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 5000 }), { minLength: 2, maxLength: 8 }), async (ahead) => {
        const outcome = await auditRecording({ ...recording, items: skewed(recording.items, ahead) });
        expect(alarms(outcome).filter((alarm) => !known.includes(alarm))).toEqual([]);
      }),
      search,
    );
  });

  it("in several files tells the same", async () => {
    const whole = await auditRecording(recording);
    await fc.assert(
      fc.asyncProperty(fc.array(share, { minLength: 1, maxLength: 4 }), async (cuts) => {
        const readers = parts(recording.items, cuts)
          .filter((items) => items.length > 0)
          .map((items) => memoryReader({ ...recording, items }));
        const outcome = await auditReaders(readers, { catalog, classes: null }, null);
        expect(findingLines(outcome)).toEqual(findingLines(whole));
        expect(ledgers(outcome)).toEqual(ledgers(whole));
      }),
      search,
    );
  });
});
