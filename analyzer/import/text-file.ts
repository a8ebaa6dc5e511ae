/** Drives a text reader over a file, chunk by chunk, or over the lines of a stream. */
import { Handover } from "./handover.js";
import { blankFacts } from "./source-facts.js";
import {
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
/** Milliseconds: events of a live stream are handed out after one to two of these. */
const TICK = 250;

/** Reads the lines that it is fed. */
export interface LineReader {
  /**
   * Reads the whole lines in `buffer`.
   * @param offset Position of the buffer in its file, null for a stream.
   * @returns how many bytes are used up; the rest is the beginning of a line.
   */
  feed(buffer: Buffer, offset: number | null): number;
  /** Reads what stands behind the last line end: it may be a whole line or the beginning of one. */
  feedRest(buffer: Buffer, offset: number): void;
  /** A line that has no end within what can be read at once. */
  skipEndlessLine(offset: number): void;
  /** What may be handed out. */
  take(): TraceItem[];
  /** What was there at the last call already, however little came since: a live stream may fall silent. */
  settle(): TraceItem[];
  /** Hands out all that is left and completes the facts. */
  finish(): TraceItem[];
}

/**
 * @param open makes the reader of the lines when somebody reads
 * @param whenEmpty Why a text without one event line is none; null when it is still one of this format, but empty.
 */
export function makeTextReader(
  input: Input,
  format: string,
  open: (facts: SourceFacts, wants: Wants) => LineReader,
  whenEmpty: string | null = "no event line in it",
): TraceReader {
  const facts = blankFacts(input.path, format);
  return {
    facts,
    read: async function* (wants: Wants): AsyncGenerator<TraceItem[]> {
      const reader = open(facts, wants);
      if (input.lines) yield* readStream(input.lines, reader);
      else yield* readFile(input, reader);
      const rest = reader.finish();
      if (facts.eventCount === 0) {
        if (whenEmpty !== null) throw new UnreadableInput(`${input.path}: ${whenEmpty}`);
        facts.diagnostics.push({ severity: "warning", offset: null, line: null, message: "no event line in it" });
      }
      if (rest.length > 0) yield rest;
    },
    close: () => input.close(),
  };
}

/** Yields now and then, be it nothing, so that whoever waits for a silent stream can give up. */
async function* readStream(lines: AsyncIterable<string>, reader: LineReader): AsyncGenerator<TraceItem[]> {
  const handover = new Handover<TraceItem[]>();
  const feed = async () => {
    let count = 0;
    for await (const line of lines) {
      reader.feed(Buffer.from(`${line}\n`), null);
      if (++count % LINES === 0 && !(await handover.give(reader.take()))) return;
    }
  };
  const ticks = setInterval(() => handover.add(reader.settle()), TICK);
  feed().then(
    () => handover.end(),
    (error) => handover.fail(error),
  );
  try {
    yield* handover.values();
  } finally {
    clearInterval(ticks);
    handover.end();
  }
}

function* readFile(input: Input, reader: LineReader): Generator<TraceItem[]> {
  const memory = Buffer.allocUnsafeSlow(CHUNK);
  let inEndlessLine = false;
  for (let offset = 0; ; ) {
    const chunk = input.read(offset, CHUNK, memory);
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
