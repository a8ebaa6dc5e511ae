/** Reads the events of a trace.dat: all CPUs of all buffers in one order. */

import { GRAPH_IS_A_PART } from "./call-line.js";
import { mergeByTime } from "./merge.js";
import { TextTable } from "./record-fields.js";
import { blankFacts } from "./source-facts.js";
import { withSymbols } from "./source-symbols.js";
import { StackTable } from "./stack-table.js";
import { shiftOf } from "./time-shift.js";
import type { Bytes } from "./trace-dat-bytes.js";
import { type MissingPages, type Pages, readCompressedPages, readRawPages } from "./trace-dat-chunks.js";
import { CpuStream } from "./trace-dat-cpu.js";
import { type CpuData, isSanePageSize, type Report, type TraceBuffer, type TraceDatFile } from "./trace-dat-file.js";
import { RecordDecoder } from "./trace-dat-records.js";
import {
  type Diagnostic,
  type Gap,
  type Input,
  type SourceFacts,
  type TraceItem,
  type TraceReader,
  UnreadableInput,
  type Wants,
} from "./trace-event.js";

/** Clocks that count nanoseconds. Source: kernel/trace/trace.c, trace_clocks[]. */
const TIME_CLOCKS = new Set(["local", "global", "uptime", "perf", "mono", "mono_raw", "boot", "tai", "tsc2nsec"]);

/** Bytes of raw pages held at once: for all CPUs together, and at most for one. */
const PIECES_BYTES = 16 << 20;
const PIECE_BYTES = 1 << 20;

export function makeTraceDatReader(
  input: Input,
  bytes: Bytes,
  file: TraceDatFile,
  diagnostics: Diagnostic[],
  report: Report,
): TraceReader {
  const clock = file.buffers[0]?.clock ?? file.options.clock;
  const format = file.version === 6 ? "trace.dat v6" : `trace.dat v7 (${file.compression})`;
  const blank: SourceFacts = {
    ...blankFacts(input.path, format),
    clock,
    clockIsTime: clock === null || TIME_CLOCKS.has(clock) || file.options.scale !== null,
    kernel: file.options.kernel,
    diagnostics,
    traceId: file.options.traceId,
    hostTraceId: file.options.timeShift?.peer ?? null,
  };
  const facts = withSymbols(blank, file, report);
  return {
    facts,
    read: (wants) => readItems(bytes, file, facts, wants, report),
    close: () => input.close(),
  };
}

async function* readItems(
  bytes: Bytes,
  file: TraceDatFile,
  facts: SourceFacts,
  wants: Wants,
  report: Report,
): AsyncGenerator<TraceItem[]> {
  const { littleEndian, pageHeader } = file;
  const formats = new Map(file.formats.map((format) => [format.id, format]));
  const stacks = new StackTable(
    (address) => facts.symbols?.locate(address) ?? { address, symbol: null, offset: null, module: null },
    pageHeader.longSize,
    littleEndian,
  );
  const onUnknown = (id: number) => report("warning", null, `records of event id ${id} have no format: left out`);
  const decoder = new RecordDecoder({
    formats,
    comms: file.comms,
    stacks,
    longSize: pageHeader.longSize,
    wants,
    onUnknown,
  });
  const streams = openStreams(bytes, file, decoder, report);

  if (file.isRecovered) {
    yield [declare(facts, "damaged")];
  }
  yield* mergeByTime(streams);
  if (decoder.usesGraph) {
    report("warning", null, GRAPH_IS_A_PART);
    yield [declare(facts, "left-out")];
  }

  for (const { cpu, recordCount, first, last, gaps } of streams) {
    facts.eventCount += recordCount;
    for (const gap of gaps) facts.gaps.push(gap);
    if (first === null || last === null) continue;
    const known = facts.cpus.get(cpu);
    facts.cpus.set(cpu, {
      first: known !== undefined && known.first < first ? known.first : first,
      last: known !== undefined && known.last > last ? known.last : last,
    });
  }
  facts.listed = file.formats.map(({ id, system, name, kind, fields }) => ({
    system,
    name,
    kind,
    fields: fields.map((field) => field.name),
    fired: decoder.hasMet(id),
  }));
  const unplaced = unplacedLosses(file, facts.gaps);
  facts.gaps.push(...unplaced);
  if (unplaced.length > 0) yield unplaced;
  if (facts.eventCount === 0) reportEmpty(facts, report);
}

function openStreams(bytes: Bytes, file: TraceDatFile, decoder: RecordDecoder, report: Report): CpuStream[] {
  const { littleEndian, pageHeader, options } = file;
  const toTime = (cpu: number) => {
    const toHost = options.timeShift === null ? null : shiftOf(options.timeShift, cpu);
    if (toHost === null && options.scale === null && options.timeOffset === 0n) return null;
    return (recorded: bigint) => {
      const raw = toHost === null ? recorded : toHost(recorded);
      const scaled = options.scale === null ? raw : (raw * options.scale.mult) >> options.scale.shift;
      return scaled + options.timeOffset;
    };
  };
  const texts = new TextTable();
  const data = soundData(file, report);
  const pieceBytes = Math.min(PIECE_BYTES, PIECES_BYTES / Math.max(1, data.length));
  return data.map(({ buffer, cpuData }) => {
    const pageSize = usablePageSize(buffer, file, report);
    return new CpuStream({
      cpu: cpuData.cpu,
      layout: { ...pageHeader, pageSize, littleEndian },
      pieces: openPieces(bytes, file, buffer, cpuData, pageSize, pieceBytes),
      decoder,
      texts,
      toTime: toTime(cpuData.cpu),
      report,
    });
  });
}

function openPieces(
  bytes: Bytes,
  file: TraceDatFile,
  buffer: TraceBuffer,
  data: CpuData,
  pageSize: number,
  pieceBytes: number,
): Iterator<Pages | MissingPages> {
  if (!buffer.isCompressed) return readRawPages(bytes, data, pageSize, pieceBytes);
  if (file.decompress !== null) return readCompressedPages(bytes, data, pageSize, file.littleEndian, file.decompress);
  const message = `the data of CPU ${data.cpu} is compressed, the file does not say how`;
  return [{ kind: "missing" as const, offset: data.offset, message }].values();
}

/** The data of all CPUs, lower CPUs first. Data that lies in another CPU's is left out: no recorder writes such. */
function soundData(file: TraceDatFile, report: Report): { buffer: TraceBuffer; cpuData: CpuData }[] {
  const all = file.buffers.flatMap((buffer) => buffer.cpus.map((cpuData) => ({ buffer, cpuData })));
  let end = 0;
  return all
    .filter(({ cpuData }) => cpuData.size > 0)
    .sort((a, b) => a.cpuData.offset - b.cpuData.offset)
    .filter(({ cpuData: { cpu, offset, size } }) => {
      const isSound = offset >= end;
      if (isSound) end = offset + size;
      else report("error", offset, `the data of CPU ${cpu} lies within that of another CPU: left out`);
      return isSound;
    })
    .sort((a, b) => a.cpuData.cpu - b.cpuData.cpu);
}

function usablePageSize(buffer: TraceBuffer, file: TraceDatFile, report: Report): number {
  if (isSanePageSize(buffer.pageSize)) return buffer.pageSize;
  report(
    "error",
    null,
    `buffer ${JSON.stringify(buffer.name)} has pages of ${buffer.pageSize} bytes; taken as ${file.pageSize}`,
  );
  return file.pageSize;
}

/** Losses that the kernel counted for CPUs on whose pages none is marked: nobody knows where they were. */
function unplacedLosses(file: TraceDatFile, gaps: readonly Gap[]): Gap[] {
  const placed = new Set(gaps.filter((gap) => gap.code === "lost-events").map((gap) => gap.cpu));
  return [...file.options.losses]
    .filter(([cpu]) => !placed.has(cpu))
    .map(([cpu, lost]) => wholeGap("overwritten", cpu, lost));
}

/** A gap that may lie anywhere in the trace. */
function declare(facts: SourceFacts, code: Gap["code"]): Gap {
  const gap = wholeGap(code, null, null);
  facts.gaps.push(gap);
  return gap;
}

function wholeGap(code: Gap["code"], cpu: number | null, lost: number | null): Gap {
  return { kind: "gap", code, cpu, from: null, to: null, lost };
}

function reportEmpty(facts: SourceFacts, report: Report): void {
  const damage = facts.diagnostics.find((diagnostic) => diagnostic.severity === "error");
  if (damage === undefined) {
    report("warning", null, "the file holds no events");
    return;
  }
  const place = damage.offset === null ? "" : ` at byte ${damage.offset}`;
  throw new UnreadableInput(
    `${facts.path}: damaged${place} (${damage.message}) and without one event; record it again`,
  );
}
