/** The same recording by somebody who records less: fewer probes, arguments, returns, stacks, and not all the time. */
import type { Probe, TraceEvent, TraceItem } from "../import/trace-event.js";

export interface Forgotten {
  /** Share of the functions without any probe. */
  functions: number;
  /** Share of the return probes left out. */
  returns: number;
  /** Share of the arguments left out. */
  arguments: number;
  /** Share of the values that could not be read: `(fault)`. */
  faults: number;
  stacks: boolean;
  /** Part of the recording that is there. */
  from: number;
  to: number;
  /** Which ones it hits. */
  seed: number;
}

export function forget(items: readonly TraceItem[], forgotten: Forgotten): TraceItem[] {
  const chance = chances(forgotten.seed);
  const functions = new Map<string, boolean>();
  const probes = new Map<Probe, { probe: Probe; kept: number[] } | null>();
  const narrow = (probe: Probe) => {
    const name = probe.at?.symbol ?? probe.name;
    const isLeftOut = functions.get(name) ?? chance() < forgotten.functions;
    functions.set(name, isLeftOut);
    if (isLeftOut || (probe.kind === "kretprobe" && chance() < forgotten.returns)) return null;
    const kept = [...probe.fields.keys()].filter(() => chance() >= forgotten.arguments);
    return { probe: { ...probe, fields: kept.map((index) => probe.fields[index] ?? "") }, kept };
  };
  const part = items.slice(Math.floor(forgotten.from * items.length), Math.ceil(forgotten.to * items.length));
  return part.flatMap((item): TraceItem[] => {
    if (item.kind === "gap") return [item];
    const stack = forgotten.stacks ? null : item.stack;
    if (item.probe.kind !== "kprobe" && item.probe.kind !== "kretprobe") return [{ ...item, stack }];
    let left = probes.get(item.probe);
    if (left === undefined) {
      left = narrow(item.probe);
      probes.set(item.probe, left);
    }
    if (left === null) return [];
    const args = left.kept.map((index) => (chance() < forgotten.faults ? null : (item.args[index] ?? null)));
    return [{ ...item, probe: left.probe, args, stack } satisfies TraceEvent];
  });
}

/** Numbers from 0 to 1, the same for the same seed (xorshift32). */
export function chances(seed: number): () => number {
  let state = (seed >>> 0) + 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
