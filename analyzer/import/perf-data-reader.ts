/** Reads the samples of a perf.data: those of tracepoints and probes become events, all others are counted. */

import type { ZstdStream } from "./decompress.js";
import { findParts, idOffset, type SampleLayout, type SampleParts } from "./perf-data-attr.js";
import { addAttr, type PerfHeader, readFeature, readTracingData, takeAttr } from "./perf-data-header.js";
import { ModuleRanges } from "./perf-data-modules.js";
import { type PerfRecord, RECORD, visitRecords } from "./perf-data-records.js";
import { type RecordBytes, TextTable } from "./record-fields.js";
import { RoundOrder, type Timed } from "./round-order.js";
import { blankFacts } from "./source-facts.js";
import { withSymbols } from "./source-symbols.js";
import { StackTable } from "./stack-table.js";
import { ByteReader, type Bytes, bufferBytes, DamagedPart } from "./trace-dat-bytes.js";
import type { Report } from "./trace-dat-file.js";
import { ACTION, RecordDecoder } from "./trace-dat-records.js";
import {
  type CodeLocation,
  type Diagnostic,
  type Gap,
  type Input,
  type SourceFacts,
  type Stack,
  type TraceEvent,
  type TraceItem,
  type TraceReader,
  UnreadableInput,
  type Wants,
} from "./trace-event.js";

export interface PerfFile {
  header: PerfHeader;
  /** Of the records, in the file. */
  start: number;
  end: number;
  zstd: ZstdStream | null;
}

/** As clock_gettime() numbers them, in the words of ftrace's trace_clock. */
const CLOCKS: Readonly<Record<number, string>> = { 0: "realtime", 1: "mono", 4: "mono_raw", 7: "boot", 11: "tai" };

/** The kernel knows at most 8192 CPUs. */
const MOST_CPUS = 1 << 16;
/** Entries of a call chain from here on (-4095) are no addresses but say whose addresses follow. */
const FIRST_MARKER = 0xfffff001;
const MARKER_KERNEL = 0xffffff80;
const ALL_ONES = 0xffffffff;
const RECORD_HEADER = 8;

export function makePerfReader(
  input: Input,
  bytes: Bytes,
  file: PerfFile,
  diagnostics: Diagnostic[],
  report: Report,
): TraceReader {
  const { header } = file;
  const blank = { ...blankFacts(input.path, "perf.data"), kernel: header.kernel, diagnostics };
  const facts = withSymbols(blank, header, report);
  return {
    facts,
    async *read(wants) {
      const reader = new PerfReader(bytes, header, facts, wants, report);
      const area = { ...file, bytes, littleEndian: header.littleEndian, report, onDamage: () => reader.damage() };
      for (const _ of visitRecords(area, (record) => reader.visit(record))) {
        const items = reader.take();
        if (items.length > 0) yield items;
      }
      const rest = reader.finish();
      if (rest.length > 0) yield rest;
    },
    close: () => input.close(),
  };
}

/** What waits for its turn in time: an item of the trace, or a task's name. */
interface Entry extends Timed {
  item: TraceItem | null;
  task: { tid: number; comm: string | null; parent: number } | null;
}

class PerfReader {
  private readonly order = new RoundOrder<Entry>();
  private ready: TraceItem[] = [];
  /** Made when the first sample comes: a pipe tells its formats on the way. */
  private decoder: RecordDecoder | null = null;
  private readonly stacks: StackTable;
  private readonly modules = new ModuleRanges();
  private readonly comms = new Map<number, string>();
  private readonly parts: SampleParts = { chain: 0, chainLength: 0, rawStart: 0, rawEnd: 0 };
  private readonly raw: RecordBytes;
  /** The last event of each CPU, until its next record ends its window. */
  private readonly pending = new Map<number, TraceEvent>();
  /** Losses by CPU (null: any) that the next record ends. */
  private readonly losses = new Map<number | null, Gap>();
  private lostSeen = 0;
  private lostCounted = 0;
  private unusable = 0;
  private readonly notes = new Set<string>();
  private idAt: number | null = null;

  constructor(
    private readonly bytes: Bytes,
    private readonly header: PerfHeader,
    private readonly facts: SourceFacts,
    private readonly wants: Wants,
    private readonly report: Report,
  ) {
    const { littleEndian } = header;
    const nothing = Buffer.alloc(0);
    const view = new DataView(nothing.buffer, 0, 0);
    this.raw = { bytes: nothing, view, littleEndian, start: 0, end: 0, texts: new TextTable() };
    this.stacks = new StackTable((address) => this.locate(address), 8, littleEndian);
  }

  private locate(address: bigint): CodeLocation {
    const known = this.facts.symbols?.locate(address);
    return known ?? { address, symbol: null, offset: null, module: this.modules.at(address) };
  }

  visit(record: PerfRecord): void {
    switch (record.type) {
      case RECORD.SAMPLE:
        this.readSample(record);
        break;
      case RECORD.FINISHED_ROUND:
        this.release(this.order.endRound());
        break;
      case RECORD.COMM:
        this.readComm(record);
        break;
      case RECORD.FORK:
        this.readFork(record);
        break;
      case RECORD.LOST:
        this.readLost(record);
        break;
      case RECORD.LOST_SAMPLES:
        if (record.start + 16 <= record.end) this.lostCounted += this.u64(record, 8);
        break;
      case RECORD.MMAP:
      case RECORD.MMAP2:
        this.modules.add(record, this.header.littleEndian);
        break;
      case RECORD.HEADER_ATTR:
      case RECORD.TRACING_DATA:
      case RECORD.HEADER_FEATURE:
        this.readHeaderRecord(record);
    }
  }

  private u32({ chunk, start }: PerfRecord, at: number): number {
    return chunk.view.getUint32(start + at, this.header.littleEndian);
  }

  /** Counts; beyond 2^53 nothing is one. */
  private u64({ chunk, start }: PerfRecord, at: number): number {
    return Number(chunk.view.getBigUint64(start + at, this.header.littleEndian));
  }

  /** What a pipe says of itself between its records. */
  private readHeaderRecord(record: PerfRecord): void {
    const { header, report } = this;
    const { chunk, start, end, offset, type } = record;
    const body = new ByteReader(
      bufferBytes(chunk.bytes.subarray(start, end)),
      header.littleEndian,
      RECORD_HEADER,
      offset,
    );
    try {
      if (type === RECORD.TRACING_DATA) {
        // Its data lies behind the record.
        readTracingData(header, new ByteReader(this.bytes, header.littleEndian, offset + (end - start)), report);
      } else if (type === RECORD.HEADER_FEATURE) {
        const id = Number(body.u64());
        readFeature(header, id, body, body.remaining, report);
      } else {
        const size = start + RECORD_HEADER + 8 <= end ? this.u32(record, RECORD_HEADER + 4) : 0;
        const attr = takeAttr(body, Math.min(size, body.remaining), header.littleEndian);
        const ids = Array.from({ length: Math.floor(body.remaining / 8) }, () => body.u64());
        addAttr(header, attr, ids);
      }
    } catch (error) {
      if (!(error instanceof DamagedPart)) throw error;
      report("error", error.offset, error.message);
    }
  }

  private readSample(record: PerfRecord): void {
    this.facts.eventCount++;
    const problem = this.takeSample(record);
    if (problem === null) return;
    this.unusable++;
    if (this.notes.has(problem)) return;
    this.notes.add(problem);
    this.report("error", record.offset, `${problem}: left out`);
  }

  /** @returns why the sample cannot be used; null when all is well. */
  private takeSample(record: PerfRecord): string | null {
    const { littleEndian } = this.header;
    const { chunk, start, end } = record;
    const layout = this.layoutOf(record);
    if (layout === null) return "samples of an event that the file does not describe";
    if (start + layout.fixedEnd > end) return "a sample is shorter than its values";
    if (layout.time === null) return "samples without time (perf record -T records it)";
    const time = chunk.view.getBigUint64(start + layout.time, littleEndian);
    const cpu = layout.cpu === null ? 0 : chunk.view.getUint32(start + layout.cpu, littleEndian);
    if (cpu >= MOST_CPUS) return `a sample of CPU ${cpu}`;
    this.order.pass(time);
    this.follow(cpu, time);
    if (layout.attr.tracepoint === null) return null;
    if (!findParts(chunk.view, start, end, littleEndian, layout, this.parts)) {
      return "a sample is shorter than its values";
    }
    this.readTracepoint(record, layout, time, cpu);
    return null;
  }

  private layoutOf(record: PerfRecord): SampleLayout | null {
    const { layouts, byId, littleEndian } = this.header;
    const first = layouts[0];
    if (first === undefined || layouts.length === 1) return first ?? null;
    // All events of a recording have their ids at the same place.
    this.idAt ??= idOffset(first.attr) ?? -1;
    if (this.idAt < 0 || record.start + this.idAt + 8 > record.end) return null;
    return byId.get(record.chunk.view.getBigUint64(record.start + this.idAt, littleEndian)) ?? null;
  }

  private readTracepoint(record: PerfRecord, layout: SampleLayout, time: bigint, cpu: number): void {
    const { raw, parts } = this;
    if (parts.rawEnd - parts.rawStart < 2) return;
    const { view, bytes } = record.chunk;
    this.decoder ??= this.makeDecoder();
    const id = view.getUint16(parts.rawStart, this.header.littleEndian);
    if ((this.decoder.actions[id] || this.decoder.meet(id)) !== ACTION.DECODE) return;
    raw.bytes = bytes;
    raw.view = view;
    raw.start = parts.rawStart;
    raw.end = parts.rawEnd;
    const probe = this.decoder.probeOf(id, raw);
    if (probe === null) return;
    const event = this.decoder.decode(id, probe, raw, time, cpu);
    if (event.tid < 0 && layout.tid !== null) {
      event.tid = view.getInt32(record.start + layout.tid, this.header.littleEndian);
    }
    event.stack = this.stackOf(record);
    if (layout.cpu !== null) this.pending.set(cpu, event);
    this.order.add({ time, item: event, task: null });
  }

  private makeDecoder(): RecordDecoder {
    const { formats, comms } = this.header;
    for (const [tid, comm] of comms) if (!this.comms.has(tid)) this.comms.set(tid, comm);
    return new RecordDecoder({
      formats,
      comms: this.comms,
      stacks: this.stacks,
      longSize: 8,
      wants: this.wants,
      onUnknown: (id) => this.report("warning", null, `samples of event id ${id} have no format: left out`),
    });
  }

  /** The kernel's part of the call chain, which begins right behind the probed instruction. */
  private stackOf({ chunk: { words } }: PerfRecord): Stack | null {
    const { chain, chainLength } = this.parts;
    if (chainLength === 0 || chain % 4 !== 0) return null;
    const [low, high] = this.header.littleEndian ? [0, 1] : [1, 0];
    const first = chain >>> 2;
    let from = -1;
    let to = chainLength;
    for (let index = 0; index < chainLength; index++) {
      const at = first + index * 2;
      if (words[at + high] !== ALL_ONES || words[at + low]! < FIRST_MARKER) continue;
      if (words[at + low] === MARKER_KERNEL && from < 0) from = index + 1;
      else if (from >= 0) {
        to = index;
        break;
      }
    }
    if (from < 0 || from >= to) return null;
    return this.stacks.intern(words, first + from * 2, first + to * 2);
  }

  /** A record of this CPU: ends the window of the event before it, and what was lost. */
  private follow(cpu: number, time: bigint): void {
    const span = this.facts.cpus.get(cpu);
    if (span === undefined) this.facts.cpus.set(cpu, { first: time, last: time });
    else if (time > span.last) span.last = time;
    else if (time < span.first) span.first = time;
    const before = this.pending.get(cpu);
    if (before !== undefined && before.time <= time) {
      before.nextOnCpu = time;
      this.pending.delete(cpu);
    }
    if (this.losses.size > 0) this.endLosses(cpu, time);
  }

  private endLosses(cpu: number, time: bigint): void {
    for (const key of [cpu, null]) {
      const gap = this.losses.get(key);
      if (gap === undefined) continue;
      this.losses.delete(key);
      gap.to = time;
      if (gap.from !== null && gap.from > time) gap.from = null;
      this.facts.gaps.push(gap);
      this.order.add({ time, item: gap, task: null });
    }
  }

  private lose(code: Gap["code"], cpu: number | null, lost: number | null): void {
    const known = this.losses.get(cpu);
    if (known !== undefined && known.code === code) {
      known.lost = known.lost === null || lost === null ? null : known.lost + lost;
      return;
    }
    let from: bigint | null = null;
    if (cpu !== null) from = this.facts.cpus.get(cpu)?.last ?? null;
    else for (const { last } of this.facts.cpus.values()) if (from === null || last < from) from = last;
    if (known !== undefined) this.facts.gaps.push(known);
    this.losses.set(cpu, { kind: "gap", code, cpu, from, to: null, lost });
  }

  /** Records are missing here, of whichever CPU. */
  damage(): void {
    this.lose("damaged", null, null);
  }

  private readLost(record: PerfRecord): void {
    const { start, end, chunk } = record;
    if (start + 24 > end) return;
    const lost = this.u64(record, 16);
    this.lostSeen += lost;
    const at = this.header.layouts[0]?.trailer.cpu ?? null;
    const cpu = at === null ? null : chunk.view.getUint32(end + at, this.header.littleEndian);
    this.lose("lost-events", cpu !== null && cpu < MOST_CPUS ? cpu : null, lost);
  }

  private readComm(record: PerfRecord): void {
    const { chunk, start, end } = record;
    if (start + 16 >= end) return;
    const nul = chunk.bytes.indexOf(0, start + 16);
    const comm = chunk.bytes.toString("utf8", start + 16, nul < 0 || nul > end ? end : nul);
    this.addTask(record, { tid: this.u32(record, 12), comm, parent: 0 });
  }

  private readFork(record: PerfRecord): void {
    if (record.start + 24 > record.end) return;
    this.addTask(record, { tid: this.u32(record, 16), comm: null, parent: this.u32(record, 20) });
  }

  /** Names that perf found when it began have no time: they hold from the start. */
  private addTask(record: PerfRecord, task: NonNullable<Entry["task"]>): void {
    const at = this.header.layouts[0]?.trailer.time ?? null;
    const hasTime = at !== null && record.end + at >= record.start + 16;
    const time = hasTime ? record.chunk.view.getBigUint64(record.end + at, this.header.littleEndian) : 0n;
    this.order.pass(time);
    this.order.add({ time, item: null, task });
  }

  private release(entries: readonly Entry[]): void {
    for (const { item, task } of entries) {
      if (task !== null) {
        const comm = task.comm ?? this.comms.get(task.parent);
        if (comm !== undefined) this.comms.set(task.tid, comm);
      } else if (item !== null) {
        if (item.kind === "event" && item.tid !== 0) item.comm = this.comms.get(item.tid) ?? item.comm;
        this.ready.push(item);
      }
    }
  }

  take(): TraceItem[] {
    this.release(this.order.takeExcess());
    const { ready } = this;
    this.ready = [];
    return ready;
  }

  /** Hands out all that is left and completes the facts. */
  finish(): TraceItem[] {
    const { header, facts } = this;
    this.release(this.order.finish());
    facts.kernel = header.kernel;
    facts.format = formatName(header);
    const clockId = header.layouts[0]?.attr.clockId ?? null;
    facts.clock = clockId === null ? "perf" : (CLOCKS[clockId] ?? `clock ${clockId}`);
    facts.listed = listed(header, this.decoder);
    if (this.order.late > 0) {
      this.report("warning", null, `${this.order.late} samples are older than what stands far before them`);
    }
    const gaps = [...this.losses.values(), ...this.wholeGaps()];
    facts.gaps.push(...gaps);
    if (facts.eventCount === 0) this.reportEmpty();
    return [...this.ready, ...gaps];
  }

  /** What is missing from the recording as a whole, nobody knows where. */
  private wholeGaps(): Gap[] {
    const { layouts, command } = this.header;
    const tracepoints = layouts.filter(({ attr }) => attr.tracepoint !== null);
    const gap = (code: Gap["code"], lost: number | null): Gap => {
      return { kind: "gap", code, cpu: null, from: null, to: null, lost };
    };
    const gaps: Gap[] = [];
    if (this.lostCounted > this.lostSeen) gaps.push(gap("lost-events", this.lostCounted - this.lostSeen));
    if (this.unusable > 0 && tracepoints.length > 0) gaps.push(gap("damaged", this.unusable));
    if (tracepoints.some(({ attr }) => attr.isOverwritten)) gaps.push(gap("overwritten", null));
    if (tracepoints.some(({ attr }) => attr.isSampled)) {
      this.report("warning", null, "only a sample of the hits is recorded: record without -F and -c");
      gaps.push(gap("left-out", null));
    }
    const isPartly = tracepoints.some(({ attr }) => attr.isPerTask) || (command !== null && !isSystemWide(command));
    if (isPartly && tracepoints.length > 0) {
      this.report("warning", null, "only some tasks or CPUs are recorded: record with perf record -a");
      gaps.push(gap("left-out", null));
    }
    return gaps;
  }

  private reportEmpty(): void {
    const damage = this.facts.diagnostics.find(({ severity }) => severity === "error");
    if (damage === undefined) {
      this.report("warning", null, "the file holds no events");
      return;
    }
    const place = damage.offset === null ? "" : ` at byte ${damage.offset}`;
    throw new UnreadableInput(
      `${this.facts.path}: damaged${place} (${damage.message}) and without one event; record it again`,
    );
  }
}

/** `-a`, alone or among short options (`-ag`), before the command that perf runs. */
function isSystemWide(command: readonly string[]): boolean {
  const end = command.indexOf("--");
  return command
    .slice(0, end < 0 ? command.length : end)
    .some((word) => word === "--all-cpus" || /^-[a-zA-Z]*a[a-zA-Z]*$/.test(word));
}

function formatName({ isPipe, isCompressed }: PerfHeader): string {
  const details = [...(isPipe ? ["pipe"] : []), ...(isCompressed ? ["zstd"] : [])];
  return details.length === 0 ? "perf.data" : `perf.data (${details.join(", ")})`;
}

function listed({ layouts, formats }: PerfHeader, decoder: RecordDecoder | null): SourceFacts["listed"] {
  const ids = new Set(layouts.flatMap(({ attr }) => attr.tracepoint ?? []));
  return [...ids].flatMap((id) => {
    const format = formats.get(id);
    if (format === undefined) return [];
    const { system, name, kind, fields } = format;
    return [{ system, name, kind, fields: fields.map((field) => field.name), fired: decoder?.hasMet(id) === true }];
  });
}
