/** What must be true of sources that are audited as one, and what they lend each other. */
import { isSymbols } from "./import/kallsyms-file.js";
import { type TraceReader, UnreadableInput } from "./import/trace-event.js";

/** @throws UnreadableInput when the sources cannot be audited together; the readers stay open. */
export function joinSources(readers: readonly TraceReader[]): void {
  const [first] = readers;
  if (first === undefined) throw new UnreadableInput("no trace was named; say which file to analyze");
  if (readers.every(isSymbols)) {
    throw new UnreadableInput(`${first.facts.path}: holds symbols only; name a trace of the same machine with it`);
  }
  requireOneKernel(readers);
  lendSymbols(readers);
}

/** A guest and its host are two kernels: tasks, CPUs and addresses of one mean nothing in the other. */
function requireOneKernel(readers: readonly TraceReader[]): void {
  const alone = "two kernels cannot be audited as one: analyze each by itself";
  for (const { facts: guest } of readers) {
    const host = readers.find(({ facts }) => guest.hostTraceId != null && facts.traceId === guest.hostTraceId);
    if (host) throw new UnreadableInput(`${guest.path}: is a guest of the machine in ${host.facts.path}; ${alone}`);
  }
  const known = readers.flatMap(({ facts: { path, kernel } }) => (kernel === null ? [] : [{ path, kernel }]));
  const other = known.find(({ kernel }) => kernel !== known[0]?.kernel);
  if (other) {
    throw new UnreadableInput(
      `${other.path}: recorded on Linux ${other.kernel}, ${known[0]?.path} on ${known[0]?.kernel}; ${alone}`,
    );
  }
}

/** Symbols that come as a file of their own are those of every source that has none. */
function lendSymbols(readers: readonly TraceReader[]): void {
  const table = readers.find(isSymbols)?.facts.symbols ?? null;
  if (table === null) return;
  for (const { facts } of readers) if (facts.symbols === null) facts.symbols = table;
}
