/**
 * ftrace's text: `trace`, `trace_pipe` and per_cpu files as the kernel prints them, and `trace-cmd report`.
 * The line is defined by kernel/trace/trace_output.c and, for trace-cmd, by tracecmd/trace-read.c.
 */
import { TextReader } from "./text-reader.js";
import { readHead } from "./text-sniff.js";
import {
  type Importer,
  type Input,
  type SourceFacts,
  type TraceItem,
  type TraceReader,
  UnreadableInput,
  type Wants,
} from "./trace-event.js";

const CHUNK = 1 << 20;
/** Lines of a stream after which is looked what may be handed out. */
const LINES = 1024;

export const ftraceText: Importer = {
  name: "ftrace text",
  priority: 100,
  sniff: (head) => readHead(head).isTrace,
  open: async (input) => openText(input),
};

function openText(input: Input): TraceReader {
  const head = readHead(input.head);
  if (head.refusal !== null) throw new UnreadableInput(`${input.path}: ${head.refusal}`);
  const facts: SourceFacts = {
    path: input.path,
    format: head.report ? "trace-cmd report" : "ftrace text",
    clock: null,
    clockIsTime: true,
    kernel: null,
    eventCount: 0,
    cpus: new Map(),
    gaps: [],
    diagnostics: [],
    listed: [],
    symbols: null,
  };
  return {
    facts,
    read: async function* (wants: Wants): AsyncGenerator<TraceItem[]> {
      const reader = new TextReader(facts, head, wants);
      if (input.lines) yield* readStream(input.lines, reader);
      else yield* readFile(input, reader);
      const rest = reader.finish();
      if (facts.eventCount === 0) {
        const message = "no event line in it";
        if (!head.hasHeader) throw new UnreadableInput(`${input.path}: ${message}`);
        facts.diagnostics.push({ severity: "warning", offset: null, line: null, message });
      }
      if (rest.length > 0) yield rest;
    },
    close: () => input.close(),
  };
}

async function* readStream(lines: AsyncIterable<string>, reader: TextReader): AsyncGenerator<TraceItem[]> {
  let count = 0;
  for await (const line of lines) {
    reader.feed(Buffer.from(`${line}\n`), null);
    if (++count % LINES !== 0) continue;
    const items = reader.take();
    if (items.length > 0) yield items;
  }
}

function* readFile(input: Input, reader: TextReader): Generator<TraceItem[]> {
  let inEndlessLine = false;
  for (let offset = 0; ; ) {
    const chunk = input.read(offset, CHUNK);
    const begin: number = inEndlessLine ? chunk.indexOf(0x0a) + 1 : 0;
    if (!inEndlessLine || begin > 0) {
      const used: number = begin + reader.feed(chunk.subarray(begin), offset + begin);
      if (chunk.length < CHUNK) reader.feedRest(chunk.subarray(used), offset + used);
      inEndlessLine = used === 0;
      if (inEndlessLine && chunk.length === CHUNK) reader.skipEndlessLine(offset);
      offset += inEndlessLine ? chunk.length : used;
    } else {
      offset += chunk.length;
    }
    const items = reader.take();
    if (items.length > 0) yield items;
    if (chunk.length < CHUNK) return;
  }
}
