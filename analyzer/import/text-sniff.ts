/** Is it ftrace's text, and which: by content, never by name. */
import { isPlacedGraphLine } from "./graph-line.js";
import { EventLine, prefixLength, readEventLine } from "./text-line.js";

/** What the head of a text tells about the whole. */
export interface TextHead {
  /** True for `trace-cmd report`, false for what the kernel prints. */
  report: boolean;
  /** It begins as a trace does, or most of its first lines are events. */
  isTrace: boolean;
  hasHeader: boolean;
  /** The lines stand in systrace's HTML: what is around them is no part of the trace. */
  isWrapped: boolean;
  /** The function_graph tracer's lines, with time and task. */
  graph: boolean;
  /** Somebody set probes, which tell more than the function tracers' calls. */
  hasProbes: boolean;
  /** Why it cannot be read although it is a trace, and what to do; null when it can. */
  refusal: string | null;
  /** Bytes of `FILE: ` or `INSTANCE: ` before each line. */
  prefix: number;
  /** Characters of flags that are glued to a raw time; 0 where none are. */
  gluedFlags: number;
}

const VOTERS = 200;
const LINE_LENGTH = 512;
/** A header further down is quoted in something else. */
const HEADER_LINES = 20;

const PREAMBLE = /^(?:(.*): )?(?:cpus=\d+|version = \d+)$/;
const TRACER = /^# tracer: (\S+)/;
const FRAME_OR_MARK = /^\s*=> |^#|^(?:.*: )?CPU:?\s?\d+ (?:is empty|\[)/;
const PERF_EVENT = /^\s*\S.*\s\d+(?:\/\d+)?\s+(?:\[\d{3}\]\s+)?\d+\.\d{6,9}:\s+(?:\d+\s+)?\S+:/;
const SYSTRACE = /^\s*<[\s\S]*(?:<title>Android System Trace|<!-- BEGIN TRACE -->)/i;
const GRAPH = /^\s*(?:[\d.]+ \|\s*)?\d+\)\s.*\|/;

/** `name: (function+0x0/0x10`, `name: (ffffffffc049ded0`; trace-cmd pads. */
const PROBE = /: +\((?:[\w.]+\+0x|(?:0x)?[0-9a-f]{8,16}\b)/;

/** Trace options that print no event lines, and what their lines look like. */
const REFUSED_OPTIONS: { option: string; line: RegExp }[] = [
  { option: "raw", line: /^-?\d+ \d+ \d+ (?:type: \d+|[0-9a-f]+ [0-9a-f]+)?/ },
  { option: "hex", line: /^[0-9a-f]{8} [0-9a-f]{8} [0-9a-f]{16}\b/ },
  { option: "verbose", line: /\[[0-9a-f]{8,}\] \d+\.\d{3}ms \(\+\d+\.\d{3}ms\): / },
];

export function readHead(head: Buffer): TextHead {
  const text = head.toString("latin1");
  const systrace = SYSTRACE.test(text);
  const lines = firstLines(head);
  const prefix = prefixWidth(lines);
  const gluedFlags = gluedWidth(lines);
  const tally = { events: 0, padded: 0, foreign: 0, graph: 0, placed: 0, options: REFUSED_OPTIONS.map(() => 0) };
  let header: "report" | "kernel" | null = null;
  let tracer = "nop";
  for (const [index, line] of lines.entries()) {
    const found = index < HEADER_LINES && (TRACER.exec(line) ?? PREAMBLE.exec(line));
    if (found) {
      header = line.startsWith("#") ? "kernel" : "report";
      if (header === "kernel") tracer = found[1]!;
    } else {
      count(line, prefix, gluedFlags, tally);
    }
  }
  const refused = REFUSED_OPTIONS.find((_, index) => tally.options[index]! > tally.events);
  const graph = tally.events === 0 && (tracer === "function_graph" || tally.placed > 0);
  return {
    report: header === "report" || (header === null && tally.padded * 2 > tally.events),
    isTrace: systrace || header !== null || tally.events + tally.placed > Math.max(tally.foreign, tally.graph),
    hasHeader: header !== null,
    isWrapped: systrace,
    graph: graph && tally.placed > 0,
    hasProbes: PROBE.test(text),
    refusal:
      graph && tally.placed === 0
        ? refuseTracer(tracer)
        : header === "kernel" && refused
          ? refuseOption(refused.option)
          : binary(head),
    prefix,
    gluedFlags,
  };
}

function count(
  text: string,
  prefix: number,
  gluedFlags: number,
  tally: { events: number; padded: number; foreign: number; graph: number; placed: number; options: number[] },
): void {
  if (FRAME_OR_MARK.test(text)) return;
  const line = new EventLine();
  const bytes = Buffer.from(text);
  if (readEventLine(bytes, prefixLength(bytes, 0, bytes.length, prefix), bytes.length, gluedFlags, line)) {
    tally.events++;
    // trace-cmd pads names to 20 columns.
    if (line.named && line.bodyStart > line.nameEnd + 2) tally.padded++;
    return;
  }
  const option = REFUSED_OPTIONS.findIndex((refused) => refused.line.test(text));
  if (option !== -1) tally.options[option]!++;
  else if (isPlacedGraphLine(text)) tally.placed++;
  else if (GRAPH.test(text)) tally.graph++;
  else if (PERF_EVENT.test(text) || !/^\s/.test(text)) tally.foreign++;
}

function refuseTracer(tracer: string): string {
  return `${tracer} prints events without task and time: set the options funcgraph-abstime and funcgraph-proc, or record with current_tracer nop`;
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
    .map((line) => line.slice(0, LINE_LENGTH).trimEnd())
    .filter((line) => line !== "")
    .slice(0, VOTERS);
}

/** `d..1.303280081900681:` */
const GLUED = /\[\d{3,}\] ([dDbX.]\S{3,7}?)\d{11,}:/;

/** The last flag is a digit in some lines; the widest of the others shows where the column ends. */
function gluedWidth(lines: readonly string[]): number {
  return Math.max(0, ...lines.map((line) => GLUED.exec(line)?.[1]?.length ?? 0));
}

function prefixWidth(lines: readonly string[]): number {
  const name = lines.map((line) => PREAMBLE.exec(line)?.[1]).find((found) => found !== undefined);
  return name === undefined ? 0 : Buffer.byteLength(name) + 2;
}
