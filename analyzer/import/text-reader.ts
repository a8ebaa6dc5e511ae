/** Reads a text line by line: records, stacks, loss marks, and what is none of these. */

import { printText, probeFields, tracepointFields } from "./text-body.js";
import { commOf, EventLine, flagsOf, readEventLine, toTime } from "./text-line.js";
import { Notes } from "./text-notes.js";
import { type ProbeName, type ProbeSite, ProbeTable, probedLocation } from "./text-probes.js";
import type { TextHead } from "./text-sniff.js";
import { framesInBody, TextStacks } from "./text-stack.js";
import { type Held, OpenEvents, Timeline } from "./text-timeline.js";
import type { Gap, GapCode, SourceFacts, TraceEvent, TraceItem, Wants } from "./trace-event.js";

/** Longer lines are damage: a record fits into a ring-buffer page, which prints to a few KiB. */
const MAX_LINE = 65_536;
/** Frames of one stack; the kernel stores at most some hundreds. */
const MAX_FRAMES = 512;

const MARK = /^\s*(?:\S.*: )?CPU:(\d{1,5}) \[(?:LOST (?:(\d{1,15}) )?EVENTS|(?:(\d{1,15}) )?EVENTS DROPPED)\]/;
const STARTED = /^##### CPU (\d{1,5}) buffer started ####/;
const ENTRIES = /^# entries-in-buffer\/entries-written: (\d{1,15})\/(\d{1,15})/;
const PREAMBLE = /^(?:.*: )?(?:cpus=\d+|version = \d+|CPU \d+ is empty)$|^# tracer: /;
/** What is left of an event line that cannot be read. */
const TORN = /-\d+\s+(?:\(.{1,9}\)\s+)?\[\d{3,}\]|\[\d{3,}\]\s.*\d\.\d{6,9}: /;

/** One CPU of one buffer. */
interface Track {
  cpu: number;
  first: bigint | null;
  lastSeconds: number;
  lastNanos: number;
  open: OpenEvents;
  /** What a stack that comes next belongs to; null after a loss mark. */
  previous: Previous | null;
  /** Losses whose end is not known yet. */
  gaps: Gap[];
}

interface Previous {
  tid: number;
  site: ProbeSite;
  held: Held | null;
}

export class TextReader {
  private readonly line = new EventLine();
  private readonly notes: Notes;
  private readonly timeline = new Timeline();
  private readonly stacks = new TextStacks();
  private readonly probes: ProbeTable;
  /** By CPU; one such list for each file or instance of a merged report. */
  private readonly buffers = new Map<string, Track[]>();
  private tracks: Track[] = [];
  private lastTrack: Track | null = null;
  /** Losses on an unknown CPU. */
  private gaps: Gap[] = [];
  /** The event whose stack is being read, and its frames so far. */
  private stackOf: Previous | null = null;
  private frames: string[] = [];
  /** The event that a continuation line belongs to; null when its text cannot continue or nobody wants it. */
  private continued: Held | null = null;
  private lineNumber = 0;

  constructor(
    private readonly facts: SourceFacts,
    private readonly head: TextHead,
    wants: Wants,
  ) {
    this.notes = new Notes(facts.diagnostics);
    this.probes = new ProbeTable(wants);
    this.selectBuffer("");
  }

  /**
   * Reads the whole lines in `buffer`.
   * @param offset Position of the buffer in its file, null for a stream.
   * @returns how many bytes are used up; the rest is the beginning of a line.
   */
  feed(buffer: Buffer, offset: number | null): number {
    let start = 0;
    for (;;) {
      const end = buffer.indexOf(0x0a, start);
      if (end === -1) return start;
      this.readLine(buffer, start, end, offset === null ? null : offset + start);
      start = end + 1;
    }
  }

  /** Reads what stands behind the last line end: it may be a whole line or the beginning of one. */
  feedRest(buffer: Buffer, offset: number): void {
    if (buffer.length === 0) return;
    this.notes.warn(
      "the last line has no line end and may be cut: its last value is not used",
      offset,
      this.lineNumber + 1,
    );
    const frames = this.frames.length;
    this.continued = null;
    const held = this.readLine(buffer, 0, buffer.length, offset);
    if (this.frames.length > frames) this.frames.pop();
    else if (held === undefined) this.startGap(this.gaps, "damaged", null, null, this.lastTrack);
    if (held?.item?.kind === "event") forgetLastValue(held.item);
  }

  /** A part of the input that holds no line. */
  damage(message: string, offset: number | null): void {
    this.notes.warn(message, offset, this.lineNumber + 1);
    this.startGap(this.gaps, "damaged", null, null, this.lastTrack);
  }

  take(): TraceItem[] {
    return this.timeline.take(this.facts.eventCount, false);
  }

  /** Hands out all that is left and completes the facts. */
  finish(): TraceItem[] {
    this.finishStack();
    const items = this.timeline.take(this.facts.eventCount, true);
    for (const tracks of this.buffers.values()) for (const track of tracks) if (track) this.finishTrack(track, items);
    items.push(...this.gaps);
    this.facts.gaps.push(...this.gaps);
    const { late, unfollowed } = this.timeline;
    if (late > 0)
      this.notes.warn(
        `${late} events are older than what stands far before them: sort the captures by time`,
        null,
        null,
      );
    if (unfollowed > 0)
      this.notes.warn(`${unfollowed} events had no later record of their CPU within reach`, null, null);
    this.notes.finish();
    return items;
  }

  private finishTrack(track: Track, items: TraceItem[]): void {
    items.push(...track.gaps);
    this.facts.gaps.push(...track.gaps);
    if (track.first === null) return;
    const last = toTime(track.lastSeconds, track.lastNanos);
    const known = this.facts.cpus.get(track.cpu);
    this.facts.cpus.set(track.cpu, {
      first: known && known.first < track.first ? known.first : track.first,
      last: known && known.last > last ? known.last : last,
    });
  }

  /** @returns the event made of the line if it is wanted, null for another record, undefined for what is no record. */
  private readLine(buffer: Buffer, lineStart: number, lineEnd: number, offset: number | null): Held | null | undefined {
    this.lineNumber++;
    let start = lineStart;
    const end = lineEnd > start && buffer[lineEnd - 1] === 0x0d ? lineEnd - 1 : lineEnd;
    if (end - start > MAX_LINE) {
      this.damage("a line too long to be an event", offset);
      return undefined;
    }
    if (buffer[start] === 0) {
      // A file that was being written when the machine went down.
      this.damage("NUL bytes", offset);
      while (start < end && buffer[start] === 0) start++;
    }
    const frame = frameStart(buffer, start, end);
    if (frame !== -1) {
      if (this.stackOf && this.frames.length < MAX_FRAMES)
        this.frames.push(buffer.toString("latin1", frame, end).trim());
      return undefined;
    }
    if (readEventLine(buffer, start, end, this.head.layout, this.line)) {
      if (this.head.layout.prefix > 0)
        this.selectBuffer(buffer.toString("latin1", start, start + this.head.layout.prefix));
      return this.readRecord(buffer);
    }
    if (end > start) this.readOther(buffer, start, end, offset);
    return undefined;
  }

  private readRecord(buffer: Buffer): Held | null {
    const { line } = this;
    if (this.stackOf) this.finishStack();
    this.continued = null;
    this.facts.eventCount++;
    if (line.counts) this.facts.clockIsTime = false;
    const track = this.tracks[line.cpu] ?? this.newTrack(line.cpu);
    const name = this.findName(buffer);
    const { previous } = track;
    const isStack = name !== null && (name.role === "kernel-stack" || name.role === "user-stack");
    if (isStack && previous !== null && previous.tid === line.tid) {
      if (name.role === "kernel-stack") this.startStack(buffer, previous);
    } else {
      track.open.follow(line.seconds, line.nanos);
      track.previous = null;
    }
    this.closeGaps(track);
    this.moveOn(track);
    if (isStack || name === null) return null;
    const site = name.site(buffer, line.bodyStart, line.bodyEnd);
    const held = site.refused ? null : this.build(buffer, name, site);
    track.previous = { tid: line.tid, site, held };
    if (held) {
      this.timeline.add(held);
      track.open.add(held);
      if (site.kind === "tracepoint" || site.kind === "print") this.continued = held;
    }
    return held;
  }

  /** Function tracer lines have no name of their own and would flood the table with functions. */
  private findName(buffer: Buffer): ProbeName | null {
    const { line } = this;
    const arrow = line.nameEnd + 1;
    if (!line.named && buffer[arrow] === 0x3c && buffer[arrow + 1] === 0x2d) {
      return this.probes.find(FUNCTION, 0, FUNCTION.length, FUNCTION_HASH);
    }
    return this.probes.find(buffer, line.nameStart, line.nameEnd, line.nameHash);
  }

  private build(buffer: Buffer, name: ProbeName, site: ProbeSite): Held | null {
    const { line } = this;
    const body = buffer.toString("utf8", line.bodyStart, line.bodyEnd);
    const location = site.at === null ? null : probedLocation(body);
    const fields =
      location !== null
        ? probeFields(body.slice(location.length))
        : site.kind === "print"
          ? { names: ["buf"], values: [printText(name.text, body)] }
          : tracepointFields(name.text, body);
    const choice = site.choose(fields.names);
    if (choice === null) return null;
    let flags = flagsOf(buffer, line);
    // trace-cmd's letters lack the NMI bit, so a breakpoint cannot be told from an interrupt.
    if (location !== null && this.head.report && line.rawFlags < 0 && flags !== null && flags & 0x08) flags = null;
    const event: TraceEvent = {
      kind: "event",
      probe: choice.probe,
      time: toTime(line.seconds, line.nanos),
      cpu: line.cpu,
      tid: line.tid,
      comm: commOf(buffer, line),
      flags,
      args: fields.values,
      returnsTo: location?.returnsTo ?? null,
      stack: null,
      nextOnCpu: null,
    };
    const record = this.facts.eventCount;
    return { seconds: line.seconds, nanos: line.nanos, record, item: event, waits: true, choice };
  }

  private startStack(buffer: Buffer, previous: Previous): void {
    if (previous.held === null && !previous.site.isNameless()) return;
    this.stackOf = previous;
    const { line } = this;
    if (line.named) this.frames.push(...framesInBody(buffer.toString("latin1", line.bodyStart, line.bodyEnd)));
  }

  private finishStack(): void {
    const owner = this.stackOf;
    const stack = this.stacks.intern(this.frames);
    this.stackOf = null;
    this.frames = [];
    if (!owner || !stack) return;
    if (owner.site.isNameless()) this.probes.learn(owner.site, stack);
    const event = owner.held?.item;
    if (event?.kind !== "event" || event.stack) return;
    event.stack = stack;
    const top = stack.frames[0]!;
    const { returnsTo } = event;
    // The stack of a return probe begins where the function returns to.
    if (returnsTo?.address != null && returnsTo.symbol === null && top.address === returnsTo.address) {
      event.returnsTo = top;
    }
  }

  private readOther(buffer: Buffer, start: number, end: number, offset: number | null): void {
    const text = buffer.toString("utf8", start, end);
    const mark = MARK.exec(text);
    const started = STARTED.exec(text);
    const entries = ENTRIES.exec(text);
    if (mark) {
      const count = mark[2] ?? mark[3];
      this.markLoss(Number(mark[1]), "lost-events", count === undefined ? null : Number(count));
    } else if (started) {
      this.markLoss(Number(started[1]), "overwritten", null);
    } else if (entries && Number(entries[1]) < Number(entries[2])) {
      this.startGap(this.gaps, "overwritten", null, Number(entries[2]) - Number(entries[1]), this.lastTrack);
    } else if (PREAMBLE.test(text)) {
      // Another capture begins: its first stack is not ours.
      for (const track of this.tracks) if (track) track.previous = null;
    } else if (!text.startsWith("#")) {
      this.readStray(text, offset);
    }
  }

  private readStray(text: string, offset: number | null): void {
    if (TORN.test(text)) {
      this.notes.warn("an event line that cannot be read", offset, this.lineNumber);
      this.startGap(this.gaps, "damaged", null, null, this.lastTrack);
      return;
    }
    if (this.head.isWrapped) return;
    const event = this.continued?.item;
    const last = event?.kind === "event" ? event.args.at(-1) : null;
    if (event?.kind === "event" && typeof last === "string" && last.length + text.length < MAX_LINE) {
      event.args = [...event.args.slice(0, -1), `${last}\n${text}`];
    } else if (this.lastTrack === null) {
      this.notes.warn("a line before the first event that is none", offset, this.lineNumber);
    }
  }

  private markLoss(cpu: number, code: GapCode, lost: number | null): void {
    const track = this.tracks[cpu] ?? this.newTrack(cpu);
    if (this.stackOf) this.finishStack();
    track.previous = null;
    this.startGap(track.gaps, code, cpu, lost, track.first === null ? null : track);
  }

  /** Begins a gap after the last record of `track`; marks with no record between them are one gap. */
  private startGap(gaps: Gap[], code: GapCode, cpu: number | null, lost: number | null, track: Track | null): void {
    const same = gaps.find((gap) => gap.code === code);
    if (same) {
      same.lost = same.lost === null || lost === null ? null : same.lost + lost;
      return;
    }
    const from = track === null ? null : toTime(track.lastSeconds, track.lastNanos);
    gaps.push({ kind: "gap", code, cpu, from, to: null, lost });
  }

  /** The record in `line` ends the losses of its CPU and those of an unknown one. */
  private closeGaps(track: Track): void {
    if (this.gaps.length === 0 && track.gaps.length === 0) return;
    const { seconds, nanos } = this.line;
    for (const gap of [...this.gaps, ...track.gaps]) {
      gap.to = toTime(seconds, nanos);
      this.facts.gaps.push(gap);
      this.timeline.add({ seconds, nanos, record: this.facts.eventCount, item: gap, waits: false, choice: null });
    }
    this.gaps = [];
    track.gaps = [];
  }

  private moveOn(track: Track): void {
    const { seconds, nanos } = this.line;
    if (track.first === null) track.first = toTime(seconds, nanos);
    track.lastSeconds = seconds;
    track.lastNanos = nanos;
    this.lastTrack = track;
  }

  private newTrack(cpu: number): Track {
    const track: Track = {
      cpu,
      first: null,
      lastSeconds: 0,
      lastNanos: 0,
      open: new OpenEvents(),
      previous: null,
      gaps: [],
    };
    this.tracks[cpu] = track;
    return track;
  }

  private selectBuffer(prefix: string): void {
    let tracks = this.buffers.get(prefix);
    if (!tracks) {
      tracks = [];
      this.buffers.set(prefix, tracks);
    }
    this.tracks = tracks;
  }
}

const FUNCTION = Buffer.from("function");
const FUNCTION_HASH = FUNCTION.reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193), 0);

/** Position behind `=>` of a frame line, -1 for other lines. */
function frameStart(buffer: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end && (buffer[at] === 0x20 || buffer[at] === 0x09)) {
    if (++at - start > 2) return -1;
  }
  return buffer[at] === 0x3d && buffer[at + 1] === 0x3e && at + 1 < end ? at + 2 : -1;
}

/** A number at the end of a cut line may lack digits, a word letters; whole pointers and closed quotes do not. */
function forgetLastValue(event: TraceEvent): void {
  const last = event.args.at(-1);
  if (last === undefined || (typeof last === "bigint" && last >= 0x1000_0000_0000_0000n)) return;
  event.args = [...event.args.slice(0, -1), null];
}
