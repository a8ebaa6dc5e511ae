/** Importer for a copy of /proc/kallsyms: no trace, but the names that others lack (perf.data carries no symbols). */

import { parseKallsyms } from "./kallsyms.js";
import { blankFacts } from "./source-facts.js";
import { type Importer, type Input, type SymbolTable, type TraceReader, UnreadableInput } from "./trace-event.js";

const FORMAT = "kallsyms";
const VOTERS = 5;
const LINE = /^[0-9a-f]{8,16} [a-zA-Z?] \S+(?:\t\[\w+\])?$/;
/** Those of the largest kernels are 20 MB. */
const LARGEST = 1 << 28;

export const kallsymsFile: Importer = {
  name: FORMAT,
  about: "a copy of /proc/kallsyms beside a trace: names for its addresses (perf.data has none)",
  priority: 30,
  sniff: (head) => {
    const lines = head.toString("latin1", 0, 4096).split("\n").slice(0, VOTERS);
    return lines.length === VOTERS && lines.every((line) => LINE.test(line));
  },
  open: async (input) => openSymbols(input),
};

/** Whether a source is nothing but symbols. */
export function isSymbols(reader: TraceReader): boolean {
  return reader.facts.format === FORMAT;
}

async function openSymbols(input: Input): Promise<TraceReader> {
  return {
    facts: { ...blankFacts(input.path, FORMAT), symbols: await readSymbols(input) },
    async *read() {},
    close: () => input.close(),
  };
}

async function readSymbols(input: Input): Promise<SymbolTable> {
  if ((input.size ?? 0) > LARGEST) throw new UnreadableInput(`${input.path}: ${input.size} bytes are no kallsyms`);
  const symbols = parseKallsyms(input.lines ? await collect(input.lines) : input.read(0, input.size ?? 0));
  if (symbols !== null) return symbols;
  throw new UnreadableInput(`${input.path}: all its addresses are zero; copy /proc/kallsyms as root`);
}

async function collect(lines: AsyncIterable<string>): Promise<Buffer> {
  const all: string[] = [];
  for await (const line of lines) all.push(line);
  return Buffer.from(`${all.join("\n")}\n`);
}
