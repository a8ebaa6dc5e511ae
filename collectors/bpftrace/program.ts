/** Renders the probe plan as a bpftrace program (0.17 to 0.27), one line `time=… cpu=… func=…` per event. */
import type { PlannedProbe, ProbePlan } from "../plan.js";

/** Bytes of a string that is recorded; longer ones exceed what older versions keep on the stack. */
const STRING = 56;

/** The program's text. Probes that bpftrace cannot have are left out: see `bpftraceLacks`. */
export function renderBpftrace(plan: ProbePlan): string {
  const blocks = plan.probes.filter((probe) => bpftraceLacks(probe) === null).map(renderProbe);
  return `${blocks.join("\n")}\n`;
}

/** Why bpftrace cannot have a probe; null when it can. */
export function bpftraceLacks(probe: PlannedProbe): string | null {
  if (probe.kind === "tracepoint") return null;
  // Its grammar knows no dots in a probe's name.
  return probe.symbol.includes(".") ? `bpftrace takes no symbol with a dot (${probe.symbol})` : null;
}

function renderProbe(probe: PlannedProbe): string {
  const target = targetOf(probe);
  // A return probe of bpftrace does not know the arguments any more.
  const known = probe.arguments.filter(({ fetch }) => !fetch.includes("$arg"));
  const values = known.map((argument) => ({ name: argument.name, ...renderValue(argument) }));
  const format = values.map(({ name, format }) => ` ${name}=${format}`).join("");
  const list = ["nsecs", "cpu", "tid", "comm", ...values.map(({ text }) => text)].join(", ");
  return `${target} { printf("time=%llu cpu=%d tid=%d comm=%s func=${target}${format}\\n", ${list}); }`;
}

function targetOf({ kind, module, symbol, offset }: PlannedProbe): string {
  if (kind === "tracepoint") return `tracepoint:${module}:${symbol}`;
  return `${kind}:${symbol}${offset === 0 ? "" : `+${offset}`}`;
}

/** A recorded argument as an expression and its place in the format. */
function renderValue({ fetch, type }: { fetch: string; type: string }): { text: string; format: string } {
  if (type === "string") return { text: `str(${addressOf(fetch)}, ${STRING})`, format: "%s" };
  const width = Number(type.slice(1));
  const cast = `${type.startsWith("s") ? "int" : "uint"}${width}`;
  const memory = MEMORY.exec(fetch);
  const text = memory === null ? `(${cast})${renderFetch(fetch)}` : `*(${cast} *)${addressOf(fetch)}`;
  if (type.startsWith("x")) return { text, format: "0x%llx" };
  return { text, format: `%${width > 32 ? "ll" : ""}${type.startsWith("s") ? "d" : "u"}` };
}

const MEMORY = /^([+-]0x[0-9a-f]+)\((.*)\)$/;

function addressOf(fetch: string): string {
  const [, offset = "+0x0", inner = ""] = MEMORY.exec(fetch) ?? [];
  return `(${renderFetch(inner)} ${offset[0]} ${offset.slice(1)})`;
}

/** A 64-bit value. */
function renderFetch(fetch: string): string {
  if (fetch === "$retval") return "retval";
  if (fetch.startsWith("%")) return `reg("${fetch.slice(1)}")`;
  if (fetch.startsWith("\\")) return `(${fetch.slice(1)})`;
  return `*(uint64 *)${addressOf(fetch)}`;
}
