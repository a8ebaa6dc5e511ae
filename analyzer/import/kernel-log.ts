/**
 * The kernel's log in any of the forms that people keep it in: dmesg (plain, -T, -x, -r), /dev/kmsg, journalctl
 * (short, export, json), syslog, a console's capture. Only reports are taken from it; everything else is passed over.
 */
import { StringDecoder } from "node:string_decoder";
import { journalLines, readJournalJson, startsAsExport } from "./journal.js";
import { type LogLine, readLogLine } from "./kernel-log-line.js";
import { beginsReport, ReportReader } from "./kernel-report.js";
import { blankFacts } from "./source-facts.js";
import { type Importer, type Input, type SourceFacts, type TraceReader, UnreadableInput } from "./trace-event.js";

const CHUNK = 1 << 20;
/** Longer ones are no log's. */
const LONGEST_LINE = 16_384;
/** Kernel lines that make a text a kernel log, where none of the first lines begins a report. */
const ENOUGH_LINES = 3;
/** `4,1234,12345678,-,caller=T123;text`: /dev/kmsg. */
const KMSG = /^\d{1,4},\d+,(\d+),[-c+](?:,caller=([TC]\d+))?[^;]*;(.*)/;

export const kernelLog: Importer = {
  name: "kernel log",
  about: "dmesg, journal, console, syslog: what the kernel said itself",
  // The last: other texts may have kernel lines in them.
  priority: 900,
  sniff: (head) => looksLikeLog(head),
  open: async (input) => openLog(input),
};

function looksLikeLog(head: Buffer): boolean {
  if (head.includes(0) && !startsAsExport(head)) return false;
  if (startsAsExport(head)) return true;
  let dated = 0;
  let others = 0;
  for (const raw of head.toString("utf8").split("\n")) {
    const line = parseLine(raw);
    if (line === null || line.text === "") continue;
    if (beginsReport(line.text)) return true;
    if (line.clock === null) others++;
    else if (++dated >= ENOUGH_LINES) return true;
  }
  return dated > 0 && others === 0;
}

function parseLine(raw: string): LogLine | null {
  if (raw.length > LONGEST_LINE) return null;
  if (raw.startsWith("{")) return readJournalJson(raw);
  const kmsg = KMSG.exec(raw);
  if (!kmsg) return readLogLine(raw);
  const time = BigInt(kmsg[1] ?? "0") * 1000n;
  return { text: (kmsg[3] ?? "").trim(), time, clock: "boot", caller: kmsg[2] ?? null };
}

function openLog(input: Input): TraceReader {
  const format = startsAsExport(input.head) ? "kernel log (journal export)" : "kernel log";
  const facts: SourceFacts = { ...blankFacts(input.path, format), reports: [] };
  return {
    facts,
    // A log's clock is not a trace's: its reports are no events of the timeline.
    async *read() {
      const reader = new ReportReader();
      let number = 0;
      for await (const line of linesOf(input)) {
        number++;
        if (line !== null) reader.feed(line, number);
      }
      reader.finish();
      facts.reports = reader.reports;
      facts.kernel = reader.reports.find((report) => report.kernel !== null)?.kernel ?? null;
      if (number === 0) throw new UnreadableInput(`${input.path}: no line of a kernel log in it`);
      if (reader.dropped > 0) warn(facts, `${reader.dropped} more reports were left out; cut the log to what matters`);
      if (reader.reports.length === 0) warn(facts, "no report of the kernel in it: no warning, crash or hung task");
    },
    close: () => input.close(),
  };
}

function warn(facts: SourceFacts, message: string): void {
  facts.diagnostics.push({ severity: "warning", offset: null, line: null, message });
}

/** A line each; null for what is no kernel line. */
async function* linesOf(input: Input): AsyncGenerator<LogLine | null> {
  if (startsAsExport(input.head)) {
    yield* journalLines(input.lines === null ? chunksOf(input) : linesAsChunks(input.lines));
  } else if (input.lines !== null) {
    for await (const raw of input.lines) yield parseLine(raw);
  } else {
    for (const raw of textLines(input)) yield parseLine(raw);
  }
}

function* textLines(input: Input): Generator<string> {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  for (const chunk of chunksOf(input)) {
    const lines = (rest + decoder.write(chunk)).split("\n");
    rest = lines.pop() ?? "";
    // A line that does not end is kept by its beginning only.
    if (rest.length > LONGEST_LINE) rest = rest.slice(0, LONGEST_LINE + 1);
    yield* lines;
  }
  if (rest !== "") yield rest;
}

function* chunksOf(input: Input): Generator<Buffer> {
  for (let offset = 0; ; ) {
    const chunk = input.read(offset, CHUNK);
    if (chunk.length === 0) return;
    offset += chunk.length;
    yield chunk;
  }
}

async function* linesAsChunks(lines: AsyncIterable<string>): AsyncGenerator<Buffer> {
  for await (const line of lines) yield Buffer.from(`${line}\n`);
}
