/** Is it ftrace's text, and which: by content, never by name. */
import { EventLine, type Layout, readEventLine } from "./text-line.js";

/** What the head of a text tells about the whole. */
export interface TextHead {
  /** True for `trace-cmd report`, false for what the kernel prints. */
  report: boolean;
  /** It begins as a trace does, or most of its first lines are events. */
  isTrace: boolean;
  hasHeader: boolean;
  /** The lines stand in systrace's HTML: what is around them is no part of the trace. */
  isWrapped: boolean;
  /** Why it cannot be read although it is a trace, and what to do; null when it can. */
  refusal: string | null;
  layout: Layout;
}

const VOTERS = 200;
/** A header further down is quoted in something else. */
const HEADER_LINES = 20;

const PREAMBLE = /^(?:(.*): )?(?:cpus=\d+|version = \d+)$/;
const TRACER = /^# tracer: (\S+)/;
const FRAME_OR_MARK = /^\s*=> |^#|^(?:.*: )?CPU:?\s?\d+ (?:is empty|\[)/;
const PERF_EVENT = /^\s*\S.*\s\d+(?:\/\d+)?\s+(?:\[\d{3}\]\s+)?\d+\.\d{6,9}:\s+(?:\d+\s+)?\S+:/;
const SYSTRACE = /^\s*<[\s\S]*(?:<title>Android System Trace|<!-- BEGIN TRACE -->)/i;
const GRAPH = /^\s*(?:[\d.]+ \|\s*)?\d+\)\s.*\|/;

/** Trace options that print no event lines, and what their lines look like. */
const REFUSED_OPTIONS: { option: string; line: RegExp }[] = [
  { option: "raw", line: /^-?\d+ \d+ \d+ (?:type: \d+|[0-9a-f]+ [0-9a-f]+)?/ },
  { option: "hex", line: /^[0-9a-f]{8} [0-9a-f]{8} [0-9a-f]{16}\b/ },
  { option: "verbose", line: /\[[0-9a-f]{8,}\] \d+\.\d{3}ms \(\+\d+\.\d{3}ms\): / },
];

export function readHead(head: Buffer): TextHead {
  const systrace = SYSTRACE.test(head.toString("latin1"));
  const lines = firstLines(head);
  const layout = readLayout(lines);
  const tally = { events: 0, padded: 0, foreign: 0, graph: 0, options: REFUSED_OPTIONS.map(() => 0) };
  let header: "report" | "kernel" | null = null;
  let tracer = "nop";
  for (const [index, text] of lines.entries()) {
    const found = index < HEADER_LINES && (TRACER.exec(text) ?? PREAMBLE.exec(text));
    if (found) {
      header = text.startsWith("#") ? "kernel" : "report";
      if (header === "kernel") tracer = found[1]!;
    } else {
      count(text, layout, tally);
    }
  }
  const refused = REFUSED_OPTIONS.find((_, index) => tally.options[index]! > tally.events);
  const graph = tracer === "function_graph" && tally.events === 0;
  return {
    report: header === "report" || (header === null && tally.padded * 2 > tally.events),
    isTrace: systrace || header !== null || tally.events > Math.max(tally.foreign, tally.graph),
    hasHeader: header !== null,
    isWrapped: systrace,
    refusal: graph
      ? refuseTracer(tracer)
      : header === "kernel" && refused
        ? refuseOption(refused.option)
        : binary(head),
    layout,
  };
}

function count(
  text: string,
  layout: Layout,
  tally: { events: number; padded: number; foreign: number; graph: number; options: number[] },
): void {
  if (FRAME_OR_MARK.test(text)) return;
  const line = new EventLine();
  const bytes = Buffer.from(text);
  if (readEventLine(bytes, 0, bytes.length, layout, line)) {
    tally.events++;
    // trace-cmd pads names to 20 columns.
    if (line.named && line.bodyStart > line.nameEnd + 2) tally.padded++;
    return;
  }
  const option = REFUSED_OPTIONS.findIndex((refused) => refused.line.test(text));
  if (option !== -1) tally.options[option]!++;
  else if (GRAPH.test(text)) tally.graph++;
  else if (PERF_EVENT.test(text) || !/^\s/.test(text)) tally.foreign++;
}

function refuseTracer(tracer: string): string {
  return `${tracer} prints events without task and time: record with current_tracer nop, or with trace-cmd`;
}

function refuseOption(option: string): string {
  return `the trace was printed with option ${option}: reset it (echo no${option} > trace_options) and read it again`;
}

/** Option `bin` prints the header as text and then bytes. */
function binary(head: Buffer): string | null {
  const start = head.subarray(0, 4096);
  let control = 0;
  for (const byte of start) if (byte < 9) control++;
  return control > start.length / 4 && TRACER.test(start.toString("latin1")) ? refuseOption("bin") : null;
}

function firstLines(head: Buffer): string[] {
  return head
    .toString("utf8")
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line !== "")
    .slice(0, VOTERS);
}

/** `d..1.303280081900681:`, the flags glued to a raw time. */
const GLUED = /\[\d{3,}\] ([dDbX.]\S{3,7}?)(\d{11,}):/;

function readLayout(lines: readonly string[]): Layout {
  let prefix = 0;
  let gluedFlags = 0;
  for (const line of lines) {
    const preamble = PREAMBLE.exec(line);
    if (preamble?.[1] !== undefined && prefix === 0) prefix = Buffer.byteLength(preamble[1]) + 2;
    // The last flag is a digit in some lines; the widest of the others shows where the column ends.
    const glued = GLUED.exec(line)?.[1]?.length ?? 0;
    gluedFlags = Math.max(gluedFlags, glued);
  }
  return { prefix, gluedFlags };
}
