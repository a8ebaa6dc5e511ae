/** Importer for the text of `perf script`. */
import { parsePerfFrame, perfFrameStart, readPerfLine, readPerfMark } from "./perf-script-line.js";
import { makeTextReader } from "./text-file.js";
import { EventLine, readEventLine } from "./text-line.js";
import { type TextDialect, TextReader } from "./text-reader.js";
import type { Importer } from "./trace-event.js";

const DIALECT: TextDialect = {
  readLine: readPerfLine,
  frameStart: perfFrameStart,
  parseFrame: parsePerfFrame,
  readMark: readPerfMark,
  stackFollows: true,
  isLoose: true,
  lacksNmi: false,
  showsCalls: false,
  prefix: 0,
};

export const perfScript: Importer = {
  name: "perf script",
  about: "its text with any fields (-F) that hold time and task",
  priority: 90,
  sniff: isPerfScript,
  open: async (input) =>
    makeTextReader(
      input,
      "perf script",
      (facts, wants) => new TextReader(facts, DIALECT, wants),
      HEADER.test(input.head.toString("latin1")) ? null : undefined,
    ),
};

const HEADER = /^# ========\n# captured on/;
const VOTERS = 200;
const LINE_LENGTH = 512;

/** Most lines that are neither frames nor comments are events, and none of them ftrace's. */
function isPerfScript(head: Buffer): boolean {
  const line = new EventLine();
  let events = 0;
  let others = 0;
  const text = head.toString("latin1");
  const lines = text.split("\n").slice(0, text.length < 65_536 ? undefined : -1);
  for (const full of lines) {
    const bytes = Buffer.from(full.slice(0, LINE_LENGTH).trimEnd());
    if (bytes.length === 0 || bytes[0] === 0x23 || perfFrameStart(bytes, 0, bytes.length) >= 0) continue;
    if (readEventLine(bytes, 0, bytes.length, 0, line)) return false;
    if (readPerfLine(bytes, 0, bytes.length, line)) events++;
    else if (!full.includes("PERF_RECORD_")) others++;
    if (events + others >= VOTERS) break;
  }
  return events > others || (events + others === 0 && HEADER.test(text));
}
