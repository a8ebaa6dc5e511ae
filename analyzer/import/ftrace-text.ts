/**
 * ftrace's text: `trace`, `trace_pipe` and per_cpu files as the kernel prints them, and `trace-cmd report`.
 * The line is defined by kernel/trace/trace_output.c and, for trace-cmd, by tracecmd/trace-read.c.
 */
import { readGraphLine } from "./graph-line.js";
import { makeTextReader } from "./text-file.js";
import { type EventLine, readEventLine } from "./text-line.js";
import { readMark } from "./text-marks.js";
import { TextReader } from "./text-reader.js";
import { readHead } from "./text-sniff.js";
import { type Importer, type Input, type TraceReader, UnreadableInput } from "./trace-event.js";

export const ftraceText: Importer = {
  name: "ftrace text",
  about: "trace, trace_pipe and trace-cmd report, all columns; function_graph with abstime and proc; systrace",
  priority: 100,
  sniff: (head) => readHead(head).isTrace,
  open: async (input) => openText(input),
};

function openText(input: Input): TraceReader {
  const head = readHead(input.head);
  if (head.refusal !== null) throw new UnreadableInput(`${input.path}: ${head.refusal}`);
  const { gluedFlags, prefix, report } = head;
  const dialect = {
    readLine: head.graph
      ? readGraphLine
      : (buffer: Buffer, start: number, end: number, line: EventLine) =>
          readEventLine(buffer, start, end, gluedFlags, line),
    frameStart,
    readMark,
    stackFollows: false,
    isLoose: head.isWrapped || head.graph,
    lacksNmi: report,
    showsCalls: !head.hasProbes,
    prefix,
  };
  return makeTextReader(
    input,
    report ? "trace-cmd report" : "ftrace text",
    (facts, wants) => new TextReader(facts, dialect, wants),
    head.hasHeader ? null : undefined,
  );
}

/** Position behind `=>` of a frame line, -1 for other lines. */
function frameStart(buffer: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end && (buffer[at] === 0x20 || buffer[at] === 0x09)) {
    if (++at - start > 2) return -1;
  }
  return buffer[at] === 0x3d && buffer[at + 1] === 0x3e && at + 1 < end ? at + 2 : -1;
}
