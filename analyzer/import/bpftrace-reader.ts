/** Reads what a bpftrace program printed: lines of text, or of JSON that holds them. */
import { type Columns, guessColumns, readColumns, readHeadings } from "./bpftrace-columns.js";
import { type Printed, readPrinted } from "./bpftrace-json.js";
import {
  type LineParts,
  looksLikeName,
  type NamedProbe,
  readSpec,
  takeApart,
  toNanoseconds,
  toValue,
} from "./bpftrace-line.js";
import { Lines, MAX_LINE } from "./lines.js";
import { TextStacks } from "./text-stack.js";
import type { Capture, Held } from "./text-timeline.js";
import type { Track } from "./text-tracks.js";
import type { CodeLocation, Probe, SourceFacts, TraceEvent, TraceItem, Value, Wants } from "./trace-event.js";

const MAX_FRAMES = 512;
/** Probes that are told apart; only made-up input has more. */
const MAX_PROBES = 16_384;
const MAX_CPU = 65_535;
const SECOND = 1_000_000_000n;

const LOST = /^Lost (\d{1,15}) events$/;
/** What bpftrace itself says, with the program's lines that it quotes; maps at the end, histograms. */
const NOISE =
  /^(?:Attaching \d+ probes?|WARNING: |ERROR: |\S+:\d+(?::\d+)?-\d+: |~+$|@|\[.*\)\s+\d+ \||[a-z]+:\S+ (?:\/.*\/ )?\{)/;
/** `kvm_put_kvm+17`, in mode perf `ffffffffc0 kvm_put_kvm+17 ([kvm])`, in mode raw the address. */
const FRAME = /^\s+(?:([0-9a-f]{8,16}) ?)?(?:(0x[0-9a-f]+|[A-Za-z_.][\w.$]*)(?:\+(\d{1,9}))?)?(?: \((.*)\))?\s*$/;

interface Named {
  probe: NamedProbe;
  /** Where the name stands among the words; -1 when a key named it. */
  at: number;
}

interface Known {
  probe: Probe;
  wanted: boolean;
}

export class BpftraceReader extends Lines {
  private readonly stacks = new TextStacks(parseFrame);
  private readonly probes = new Map<string, Known>();
  private readonly threads = new Map<string, number>();
  private columns: Columns;
  /** Text that JSON gave without a line end so far. */
  private begun = "";
  /** The event that frames belong to; null when nobody wants it. */
  private owner: TraceEvent | null = null;
  private frames: string[] = [];
  private untimed = 0;
  /** Behind a map's name, until an empty line. */
  private isInMap = false;

  /** @param sample the first lines, from which the columns are guessed */
  constructor(
    facts: SourceFacts,
    private readonly isJson: boolean,
    sample: readonly string[],
    private readonly wants: Wants,
  ) {
    super(facts);
    this.columns = guessColumns(sample.filter((line) => !NOISE.test(line)).map(takeApart));
  }

  protected endText(): void {
    if (this.begun !== "") this.readText(this.begun);
    this.endStack();
  }

  protected conclude(): TraceItem[] {
    if (this.untimed === 0) return [];
    this.notes.warn("the program prints no time: print nsecs, else the order of events is a guess", null, null);
    this.facts.clockIsTime = false;
    return [this.leaveOut()];
  }

  protected readLine(buffer: Buffer, start: number, end: number, offset: number | null): void {
    const line = buffer.toString("utf8", start, end);
    const printed = this.isJson ? readPrinted(line) : null;
    if (printed !== null) this.readObject(printed);
    else if (this.isJson && line.startsWith("{")) this.damage("a line that is no JSON", offset);
    else this.readText(line);
  }

  private readObject(printed: Printed): void {
    switch (printed.kind) {
      case "text": {
        const lines = (this.begun + printed.text).split("\n");
        this.begun = (lines.pop() ?? "").slice(0, MAX_LINE);
        for (const line of lines) this.readText(line);
        break;
      }
      case "parts":
        this.readEvent(takeParts(printed.parts));
        break;
      case "lost":
        this.tracks.startGap("lost-events", null, printed.lost);
        break;
      case "error":
        this.notes.warn(`the program failed: ${printed.message.slice(0, 200)}`, null, this.lineNumber);
    }
  }

  private readText(line: string): void {
    if (line.trim() === "") this.isInMap = false;
    if (line.startsWith("@")) this.isInMap = true;
    // Its keys and its picture may look like anything.
    if (line.trim() === "" || (this.isInMap && !line.includes("probe:"))) {
      if (this.isInMap) this.endStack();
      return;
    }
    if (/^\s/.test(line) && FRAME.test(line)) {
      if (this.owner !== null && this.frames.length < MAX_FRAMES) this.frames.push(line);
      return;
    }
    const lost = LOST.exec(line);
    if (lost) this.tracks.startGap("lost-events", null, Number(lost[1]));
    else if (NOISE.test(line)) this.endStack();
    else this.readEvent(takeApart(line));
  }

  private readEvent(parts: LineParts): void {
    const named = this.nameIn(parts);
    if (named === null) {
      const headings = readHeadings(parts.words);
      if (headings !== null && this.facts.eventCount === 0) this.columns = headings;
      return;
    }
    this.endStack();
    this.facts.eventCount++;
    const { words, roles, fields } = parts;
    const at = named.at < 0 ? words.length : named.at;
    readColumns(words.slice(0, at), this.columns, roles);
    const rest = words.slice(at + 1);
    const args = argumentsOf(
      fields,
      rest.map(({ text }) => text),
      named.probe.offset !== null,
    );
    roles.comm ??= rest.find(({ text }) => typeof toValue(text) === "string")?.text ?? "";
    const { track, capture, time, hasCpu } = this.place(roles);
    const known = this.probeOf(named.probe, parts.isReturn, args.names);
    if (known === null || !known.wanted) return;
    const event: TraceEvent = {
      kind: "event",
      probe: known.probe,
      time,
      cpu: track.cpu,
      tid: this.threadOf(roles),
      comm: roles.comm ?? "",
      flags: null,
      args: args.values,
      returnsTo: null,
      stack: null,
      nextOnCpu: null,
    };
    const seconds = Number(time / SECOND);
    const nanos = Number(time % SECOND);
    const record = this.facts.eventCount;
    const held: Held = { seconds, nanos, record, item: event, waits: hasCpu, choice: null, capture };
    this.timeline.add(held);
    if (hasCpu) track.open.add(held);
    this.owner = event;
  }

  /** The probe that a line names: by a key, by its type, or as a word that somebody wants for a function's name. */
  private nameIn({ words, roles, isReturn, fields }: LineParts): Named | null {
    if (roles.function !== undefined) return { probe: readSpec(roles.function) ?? plain(roles.function), at: -1 };
    const spec = words.findIndex(({ text }) => readSpec(text) !== null);
    if (spec >= 0) return { probe: readSpec(words[spec]!.text)!, at: spec };
    const candidates = words.flatMap(({ text }, at) => (looksLikeName(text) ? [{ probe: plain(text), at }] : []));
    const wanted = candidates.find(({ probe }) => this.probeOf(probe, isReturn, fields.names)?.wanted === true);
    if (wanted !== undefined) return wanted;
    // A name alone may be anything that was written to the same terminal.
    const hasNumber = words.some(({ text, task }) => task !== null || /^\d+$/.test(text));
    return hasNumber || Object.keys(roles).length > 0 ? (candidates[0] ?? null) : null;
  }

  private probeOf(named: NamedProbe, isReturn: boolean, fields: readonly string[]): Known | null {
    const kind = named.kind === "kprobe" && isReturn && named.offset === null ? "kretprobe" : named.kind;
    const key = `${kind} ${named.system} ${named.name}+${named.offset} ${fields.join(" ")}`;
    let known = this.probes.get(key);
    if (known === undefined) {
      if (this.probes.size >= MAX_PROBES) return null;
      const { system, name, offset } = named;
      const at: CodeLocation | null =
        kind === "tracepoint" ? null : { address: null, symbol: name, offset, module: null };
      const probe: Probe = { kind, system, name, fields, at };
      known = { probe, wanted: this.wants(probe) };
      this.probes.set(key, known);
    }
    return known;
  }

  /** Notes the line's time on its CPU. Where there is no time, the order of the lines stands for it. */
  private place(roles: LineParts["roles"]): { track: Track; capture: Capture; time: bigint; hasCpu: boolean } {
    const cpu = /^\d{1,5}$/.test(roles.cpu ?? "") ? Number(roles.cpu) : null;
    let time = toNanoseconds(roles.time ?? "");
    if (time === null) {
      this.untimed++;
      time = BigInt(this.facts.eventCount);
    }
    const hasCpu = cpu !== null && cpu <= MAX_CPU;
    const track = this.tracks.of(hasCpu ? cpu : 0);
    const seconds = Number(time / SECOND);
    const nanos = Number(time % SECOND);
    if (hasCpu) track.open.follow(seconds, nanos);
    this.endGaps(track, seconds, nanos);
    const capture = track.record(seconds, nanos);
    this.tracks.last = track;
    return { track, capture, time, hasCpu };
  }

  /** Where no number is printed the name tells tasks apart, as far as it can. */
  private threadOf({ tid, pid, comm }: LineParts["roles"]): number {
    const printed = [tid, pid].find((text) => /^\d{1,9}$/.test(text ?? ""));
    if (printed !== undefined) return Number(printed);
    const name = comm ?? "";
    const known = this.threads.get(name) ?? -1 - this.threads.size;
    if (this.threads.size < MAX_PROBES) this.threads.set(name, known);
    return known;
  }

  private endStack(): void {
    if (this.owner !== null && this.frames.length > 0) this.owner.stack = this.stacks.intern(this.frames);
    this.owner = null;
    this.frames = [];
  }
}

/** `kvm_init`, `kvm_init+0x10`; builtin `func` of a return probe may name a trampoline. */
function plain(text: string): NamedProbe {
  const [, name = text, offset] = /^([^+]+)\+(0x[0-9a-f]+|\d+)/.exec(text) ?? [];
  return { kind: "kprobe", system: null, name, offset: offset === undefined ? null : Number(offset) };
}

/** The parts of a tuple in their order; numbers behind the name are arguments. */
function takeParts(parts: readonly string[]): LineParts {
  const words = parts.map((text) => ({ text, task: null }));
  const at = parts.findIndex((text) => readSpec(text) !== null);
  const isReturn = at >= 0 && readSpec(parts[at]!)?.kind === "kretprobe";
  return { words, roles: {}, fields: { names: [], values: [] }, isReturn };
}

/**
 * Named values, else the numbers behind the probe's name in the order of its arguments. Behind a function's bare name
 * they may be a result just as well.
 */
function argumentsOf(
  fields: LineParts["fields"],
  rest: readonly string[],
  isTyped: boolean,
): { names: string[]; values: Value[] } {
  if (fields.names.length > 0) return fields;
  const values = rest.map(toValue).filter((value) => typeof value === "bigint");
  return { names: values.map((_, index) => `${isTyped ? "arg" : "value"}${index + 1}`), values };
}

function parseFrame(text: string): CodeLocation | null {
  const [, digits, name, offset, place] = FRAME.exec(text) ?? [];
  const raw = name?.startsWith("0x") ? BigInt(name) : null;
  const address = digits === undefined ? raw : BigInt(`0x${digits}`);
  const symbol = raw === null ? (name ?? null) : null;
  if (address === null && symbol === null) return null;
  const module = place === undefined ? null : (/^\[(\w+)\]$/.exec(place)?.[1] ?? null);
  return { address, symbol, offset: symbol === null || offset === undefined ? null : Number(offset), module };
}
