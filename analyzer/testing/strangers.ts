/** The same recording as somebody else would have made it: other probe names, other argument names, other numbers. */
import { withoutCloneSuffix } from "../decode/interpret.js";
import type { Probe, TraceEvent, TraceItem, Value } from "../import/trace-event.js";

export interface StrangerStyle {
  /** `p_kvm_put_kvm_0` as the kernel names a probe that was given no name, or `p1`, `p2`, ... */
  names: "automatic" | "numbered";
  /** Arguments as `arg1`, `arg2`, ... */
  numberedArguments: boolean;
  /** -1 as 4294967295. */
  unsigned: boolean;
}

/** Renames every kprobe of a recording; tracepoints stay as they are. */
export function asStranger(items: readonly TraceItem[], style: StrangerStyle): TraceItem[] {
  const probes = new Map<Probe, Probe>();
  return items.map((item) => {
    if (item.kind === "gap" || item.probe.kind === "tracepoint" || item.probe.kind === "print") return item;
    let probe = probes.get(item.probe);
    if (!probe) {
      probe = rename(item.probe, style, probes.size + 1);
      probes.set(item.probe, probe);
    }
    return { ...item, probe, args: item.args.map((value) => number(value, style)) } satisfies TraceEvent;
  });
}

function rename(probe: Probe, style: StrangerStyle, index: number): Probe {
  const letter = probe.kind === "kretprobe" ? "r" : "p";
  const symbol = probe.at?.symbol ?? null;
  const automatic = symbol === null ? null : `${letter}_${withoutCloneSuffix(symbol)}_${probe.at?.offset ?? 0}`;
  return {
    ...probe,
    name: style.names === "automatic" && automatic !== null ? automatic : `${letter}${index}`,
    fields: style.numberedArguments ? probe.fields.map((_, at) => `arg${at + 1}`) : probe.fields,
  };
}

function number(value: Value, style: StrangerStyle): Value {
  if (!style.unsigned || typeof value !== "bigint" || value >= 0n || value < -0x8000_0000n) return value;
  return BigInt.asUintN(32, value);
}
