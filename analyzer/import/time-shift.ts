/**
 * From a guest's clock to its host's, as measured now and then while both recorded.
 * Source: trace-cmd, lib/trace-cmd/trace-input.c (option TIME_SHIFT), checked against what trace-cmd prints.
 */
import type { ByteReader } from "./trace-dat-bytes.js";

interface Sample {
  /** When it was measured, in the guest's raw clock. */
  time: bigint;
  offset: bigint;
  /** `(raw * scaling) >> fraction` before the offset is added. */
  scaling: bigint;
  fraction: bigint;
}

export interface TimeShift {
  /** Trace id of the host's recording. */
  peer: bigint;
  /** Offsets between two samples lie on a line; else the earlier one holds. */
  interpolates: boolean;
  /** Samples of each CPU, by time. */
  cpus: Sample[][];
}

const INTERPOLATE = 1;
const MOST_CPUS = 1 << 16;
const MOST_SAMPLES = 1 << 20;

/** @throws DamagedPart */
export function readTimeShift(data: ByteReader): TimeShift {
  const peer = data.u64();
  const flags = data.u32();
  const count = data.u32();
  if (count > MOST_CPUS) throw data.damaged(`time shifts of ${count} CPUs`);
  const cpus: Sample[][] = [];
  for (let cpu = 0; cpu < count; cpu++) {
    const length = data.u32();
    if (length > MOST_SAMPLES || length * 24 > data.remaining) throw data.damaged(`${length} time shifts`);
    const column = () => Array.from({ length }, () => BigInt.asIntN(64, data.u64()));
    const times = column();
    const offsets = column();
    const scalings = column();
    cpus.push(times.map((time, index) => ({ time, offset: offsets[index]!, scaling: scalings[index]!, fraction: 0n })));
  }
  // Since trace-cmd 3.0.
  if (data.remaining > 0) {
    for (const samples of cpus) for (const sample of samples) sample.fraction = data.u64() & 63n;
  }
  return { peer, interpolates: (flags & INTERPOLATE) !== 0, cpus: cpus.map(inOrder) };
}

function inOrder(samples: Sample[]): Sample[] {
  const sorted = samples.toSorted((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
  return sorted.filter(({ time }, index) => index === 0 || time !== sorted[index - 1]!.time);
}

/** How the raw times of a CPU become the host's; null when nothing was measured for it. */
export function shiftOf({ cpus, interpolates }: TimeShift, cpu: number): ((raw: bigint) => bigint) | null {
  const samples = cpus[cpu] ?? [];
  const [only] = samples;
  if (only === undefined) return null;
  if (samples.length === 1) return (raw) => raw + only.offset;
  // Times ascend: the bracket of the last one is mostly that of the next.
  let at = 0;
  return (raw) => {
    while (at > 0 && raw < samples[at]!.time) at--;
    while (at < samples.length - 2 && raw >= samples[at + 1]!.time) at++;
    const from = samples[at]!;
    const to = samples[at + 1]!;
    return ((raw * from.scaling) >> from.fraction) + (interpolates ? offsetBetween(from, to, raw) : from.offset);
  };
}

/** Rounded to the nearest, as trace-cmd does (whose division cuts towards zero, as BigInt's does). */
function offsetBetween(from: Sample, to: Sample, raw: bigint): bigint {
  const span = to.time - from.time;
  return from.offset + ((raw - from.time) * (to.offset - from.offset) + span / 2n) / span;
}
