/** Reads a text line by line: records, stacks, loss marks, and what is none of these. */

import { CALL, CallLine, durationOf, GRAPH_IS_A_PART, readCall, resultOf } from "./call-line.js";
import { Lines, MAX_LINE } from "./lines.js";
import { callFields, type Fields, printText, probeFields, tracepointFields } from "./text-body.js";
import { commOf, EventLine, flagsOf, prefixLength, toTime } from "./text-line.js";
import { MARK_LENGTH, type Mark } from "./text-marks.js";
import { type ProbeName, type ProbeSite, ProbeTable, probedLocation } from "./text-probes.js";
import { framesInBody, TextStacks } from "./text-stack.js";
import type { Capture, Held } from "./text-timeline.js";
import type { Previous, Track } from "./text-tracks.js";
import type { CodeLocation, SourceFacts, TraceEvent, TraceItem, Wants } from "./trace-event.js";

/** Frames of one stack; the kernel stores at most some hundreds. */
const MAX_FRAMES = 512;
const MAX_FRAME = 1024;

/** What the lines of one tool look like. */
export interface TextDialect {
  /** Reads the event line in `buffer[start, end)`. @returns false when it is something else */
  readLine(buffer: Buffer, start: number, end: number, line: EventLine): boolean;
  /** Where a frame of a stack begins in its line, -1 for other lines. */
  frameStart(buffer: Buffer, start: number, end: number): number;
  /** null for a frame that is none of the kernel's. Left out: as ftrace prints them. */
  parseFrame?: (text: string) => CodeLocation | null;
  readMark(line: string): Mark | null;
  /** A stack stands right behind its event (perf), it is no record of its own (ftrace). */
  stackFollows: boolean;
  /** Lines that say nothing are no continuation of the event before them. */
  isLoose: boolean;
  /** Letters of the flags column lack the NMI bit (trace-cmd): a breakpoint cannot be told from an interrupt. */
  lacksNmi: boolean;
  /**
   * Calls that the function tracers show are events. Not where somebody set probes: their silence means more when
   * nothing stands beside them that tells less.
   */
  showsCalls: boolean;
  /** Bytes of `FILE: ` or `INSTANCE: ` before each line. */
  prefix: number;
}

/** Of a line: the event made of it if that is wanted, null for another record, undefined for what is no record. */
export class TextReader extends Lines<Held | null | undefined> {
  private readonly line = new EventLine();
  private readonly call = new CallLine();
  /** Of the line in hand, one of `CALL`; NONE for all but the lines of the function tracers. */
  private callKind: number = CALL.NONE;
  /** Somebody wanted a call that function_graph shows. */
  private usesGraph = false;
  private readonly stacks: TextStacks;
  private readonly probes: ProbeTable;
  /** The event whose stack is being read, and its frames so far. */
  private stackOf: Previous | null = null;
  private frames: string[] = [];
  /** The event that a continuation line belongs to; null when its text cannot continue or nobody wants it. */
  private continued: Held | null = null;

  constructor(
    facts: SourceFacts,
    private readonly dialect: TextDialect,
    wants: Wants,
  ) {
    super(facts);
    this.stacks = new TextStacks(dialect.parseFrame);
    this.probes = new ProbeTable(wants);
  }

  /** Reads what stands behind the last line end: it may be a whole line or the beginning of one. */
  override feedRest(buffer: Buffer, offset: number): void {
    if (buffer.length === 0) return;
    this.notes.warn(
      "the last line has no line end and may be cut: its last value is not used",
      offset,
      this.lineNumber + 1,
    );
    const frames = this.frames.length;
    this.continued = null;
    const held = this.takeLine(buffer, 0, buffer.length, offset);
    if (this.frames.length > frames) this.frames.pop();
    else if (held === undefined) this.tracks.startGap("damaged", null, null);
    if (held?.item?.kind === "event") forgetLastValue(held.item);
  }

  protected endText(): void {
    this.finishStack();
  }

  protected conclude(): TraceItem[] {
    const { unfollowed } = this.timeline;
    if (unfollowed > 0) this.notes.warn(`${unfollowed} events: no later record of their CPU is near`, null, null);
    if (this.tracks.sources > 1) {
      this.notes.warn(`lines of ${this.tracks.sources} files or instances: read as those of one machine`, null, null);
    }
    if (!this.usesGraph) return [];
    this.notes.warn(GRAPH_IS_A_PART, null, null);
    return [this.leaveOut()];
  }

  protected readLine(buffer: Buffer, from: number, end: number, offset: number | null): Held | null | undefined {
    let start = from;
    if (buffer[start] === 0) {
      // A file that was being written when the machine went down.
      this.damage("NUL bytes", offset);
      while (start < end && buffer[start] === 0) start++;
    }
    const frame = this.dialect.frameStart(buffer, start, end);
    if (frame !== -1) {
      if (this.stackOf && this.frames.length < MAX_FRAMES) {
        this.frames.push(buffer.toString("latin1", frame, Math.min(end, frame + MAX_FRAME)).trim());
      }
      return undefined;
    }
    const prefix = prefixLength(buffer, start, end, this.dialect.prefix);
    if (prefix > 0) this.tracks.select(buffer.toString("latin1", start, start + prefix));
    start += prefix;
    if (this.dialect.readLine(buffer, start, end, this.line)) return this.readRecord(buffer);
    if (end > start) this.readOther(buffer, start, end, offset);
    return undefined;
  }

  private readRecord(buffer: Buffer): Held | null {
    const { line } = this;
    if (this.stackOf) this.finishStack();
    this.continued = null;
    this.facts.eventCount++;
    if (line.counts) this.facts.clockIsTime = false;
    const track = this.tracks.of(line.cpu);
    const name = this.findName(buffer);
    const { previous } = track;
    const isStack = name !== null && (name.role === "kernel-stack" || name.role === "user-stack");
    if (isStack && previous !== null && previous.tid === line.tid) {
      if (name.role === "kernel-stack") this.startStack(buffer, previous);
    } else {
      if (line.hasCpu) track.open.follow(line.seconds, line.nanos);
      track.previous = null;
    }
    this.endGaps(track, line.seconds, line.nanos);
    const capture = track.record(line.seconds, line.nanos);
    this.tracks.last = track;
    if (name === null) return this.overflow();
    if (isStack) return null;
    if (name.role === "call") return this.readCalled(buffer, track, capture);
    const site = name.site(buffer, line.bodyStart, line.bodyEnd);
    const held = site.refused ? null : this.build(buffer, name, site, capture);
    track.previous = { tid: line.tid, site, held };
    if (this.dialect.stackFollows) this.startStack(buffer, track.previous);
    if (held) {
      this.add(track, held);
      if (site.kind === "tracepoint" || site.kind === "print") this.continued = held;
    }
    return held;
  }

  private add(track: Track, held: Held): void {
    this.timeline.add(held);
    if (this.line.hasCpu) track.open.add(held);
    else held.waits = false;
  }

  /** Lines of the function tracers have no name of their own: the functions would flood the table of events. */
  private findName(buffer: Buffer): ProbeName | null {
    const { line, probes } = this;
    if (!line.named) {
      this.callKind = readCall(buffer, line.bodyStart, line.bodyEnd, false, this.call);
      if (this.callKind !== CALL.NONE) return probes.find(FUNCTION, 0, FUNCTION.length, FUNCTION_HASH);
    }
    const name = probes.find(buffer, line.nameStart, line.nameEnd, line.nameHash);
    if (name?.role === "call") {
      const pipe = buffer.indexOf(PIPE, line.bodyStart);
      const start = pipe < 0 || pipe >= line.bodyEnd ? line.bodyStart : pipe + 1;
      this.callKind = readCall(buffer, start, line.bodyEnd, true, this.call);
    }
    return name;
  }

  /** A call is a hit of a probe on the function's first instruction, a return one of a return probe. */
  private readCalled(buffer: Buffer, track: Track, capture: Capture): Held | null {
    const { line, call, callKind, probes } = this;
    track.previous = null;
    if (callKind === CALL.NONE || !this.dialect.showsCalls) return null;
    const called = probes.findCalled(buffer, call);
    if (called === null) return null;
    let held: Held | null = null;
    if ((callKind & CALL.ENTRY) !== 0) {
      const fields = callFields(buffer.toString("latin1", call.argsStart, call.argsEnd));
      held = this.hit(buffer, called.calls, fields, capture);
      if (held) {
        track.previous = { tid: line.tid, site: called.calls, held };
        this.add(track, held);
      }
    }
    if ((callKind & CALL.RETURN) !== 0) held = this.readReturn(buffer, called.returns, track, capture) ?? held;
    this.usesGraph ||= held !== null && call.isGraph;
    return held;
  }

  private readReturn(buffer: Buffer, site: ProbeSite, track: Track, capture: Capture): Held | null {
    const { line, call, callKind } = this;
    const result = resultOf(buffer.toString("latin1", call.nameEnd, line.bodyEnd));
    if (callKind === CALL.LEAF) {
      const columns = buffer.toString("latin1", line.named ? line.bodyStart : line.commEnd, call.nameStart);
      line.nanos += durationOf(columns);
      line.seconds += Math.floor(line.nanos / 1e9);
      line.nanos %= 1e9;
      if (line.hasCpu) track.open.follow(line.seconds, line.nanos);
    }
    const fields = result === null ? NO_FIELDS : { names: ["ret"], values: [result] };
    const held = this.hit(buffer, site, fields, capture);
    if (held) this.add(track, held);
    return held;
  }

  private build(buffer: Buffer, name: ProbeName, site: ProbeSite, capture: Capture): Held | null {
    const { line } = this;
    const body = buffer.toString("utf8", line.bodyStart, line.bodyEnd);
    const location = site.at === null ? null : probedLocation(body);
    const fields =
      location !== null
        ? probeFields(body.slice(location.length))
        : site.kind === "print"
          ? { names: ["buf"], values: [printText(name.text, body)] }
          : tracepointFields(name.event, body);
    return this.hit(buffer, site, fields, capture, location?.returnsTo ?? null);
  }

  /** An event with these fields, at the line's time. */
  private hit(
    buffer: Buffer,
    site: ProbeSite,
    fields: Fields,
    capture: Capture,
    returnsTo: CodeLocation | null = null,
  ): Held | null {
    const { line } = this;
    const choice = site.choose(fields.names);
    if (choice === null) return this.overflow();
    if (site.refused) return null;
    let flags = flagsOf(buffer, line);
    if (site.at !== null && this.dialect.lacksNmi && line.rawFlags < 0 && flags !== null && flags & 0x08) flags = null;
    const event: TraceEvent = {
      kind: "event",
      probe: choice.probe,
      time: toTime(line.seconds, line.nanos),
      cpu: line.cpu,
      tid: line.tid,
      comm: commOf(buffer, line),
      flags,
      args: fields.values,
      returnsTo,
      stack: null,
      nextOnCpu: null,
    };
    const record = this.facts.eventCount;
    return { seconds: line.seconds, nanos: line.nanos, record, item: event, waits: true, choice, capture };
  }

  private overflow(): null {
    this.notes.warn("more kinds of events than a real trace has: left out", null, this.lineNumber);
    return null;
  }

  private startStack(buffer: Buffer, previous: Previous): void {
    if (previous.held === null && !previous.site.isNameless()) return;
    this.stackOf = previous;
    const { line } = this;
    if (line.named && !this.dialect.stackFollows)
      this.frames.push(...framesInBody(buffer.toString("latin1", line.bodyStart, line.bodyEnd)));
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
    const mark = this.dialect.readMark(buffer.toString("latin1", start, Math.min(end, start + MARK_LENGTH)));
    if (this.stackOf) this.finishStack();
    switch (mark?.kind) {
      case "loss":
        this.tracks.startGap(mark.code, mark.cpu, mark.lost);
        break;
      case "capture":
        this.tracks.forgetPrevious();
        break;
      case "torn":
        this.notes.warn("an event line that cannot be read", offset, this.lineNumber);
        this.tracks.startGap("damaged", null, null);
        break;
      case undefined:
        this.readStray(buffer.toString("utf8", start, end), offset);
    }
  }

  /** A line of some event's text that had line ends in it; or no part of the trace at all. */
  private readStray(text: string, offset: number | null): void {
    if (this.dialect.isLoose) return;
    const event = this.continued?.item;
    const last = event?.kind === "event" ? event.args.at(-1) : null;
    if (event?.kind === "event" && typeof last === "string" && last.length + text.length < MAX_LINE) {
      event.args = [...event.args.slice(0, -1), `${last}\n${text}`];
    } else if (this.tracks.last === null) {
      this.notes.warn("a line before the first event that is none", offset, this.lineNumber);
    }
  }
}

const PIPE = 0x7c;
const NO_FIELDS: Fields = { names: [], values: [] };
const FUNCTION = Buffer.from("function");
const FUNCTION_HASH = FUNCTION.reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193), 0);

/** A number at the end of a cut line may lack digits, a word letters; whole pointers and closed quotes do not. */
function forgetLastValue(event: TraceEvent): void {
  const last = event.args.at(-1);
  if (last === undefined || (typeof last === "bigint" && last >= 0x1000_0000_0000_0000n)) return;
  event.args = [...event.args.slice(0, -1), null];
}
