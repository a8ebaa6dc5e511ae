/** What is known of each CPU while a text is read: its first and last record, what may get a stack, what was lost. */
import { isEarlier, toTime } from "./text-line.js";
import type { ProbeSite } from "./text-probes.js";
import { type Capture, type Held, OpenEvents } from "./text-timeline.js";
import type { Gap, GapCode, SourceFacts } from "./trace-event.js";

/** Lines of one CPU are in order; where a program prints no CPU, those of several are, as far as that. */
const OUT_OF_ORDER_S = 0.1;
/** Files or instances in one report. */
const MAX_BUFFERS = 256;

/** The record that a stack which comes next belongs to; `held` is null when nobody wants it. */
export interface Previous {
  tid: number;
  site: ProbeSite;
  held: Held | null;
}

/** One CPU of one buffer. */
export class Track {
  readonly open = new OpenEvents();
  /** null after a loss: the record before a stack may be missing. */
  previous: Previous | null = null;
  /** Losses whose end is not known yet. */
  readonly gaps: Gap[] = [];
  private firstSeconds = Number.POSITIVE_INFINITY;
  private firstNanos = 0;
  private lastSeconds = Number.NEGATIVE_INFINITY;
  private lastNanos = 0;
  private seconds = Number.NEGATIVE_INFINITY;
  private nanos = 0;
  private capture: Capture = { number: 0, isBehind: false };

  /** @param count of the parts so far, of all CPUs: of two captures the second begins on all of them. */
  constructor(
    readonly cpu: number,
    private readonly count: { captures: number },
  ) {}

  /** @returns the part of the text that it belongs to */
  record(seconds: number, nanos: number): Capture {
    if (isEarlier(seconds, nanos, this.seconds, this.nanos)) this.count.captures++;
    const isBehind = this.lastSeconds - seconds + (this.lastNanos - nanos) / 1e9 > OUT_OF_ORDER_S;
    if (this.capture.number !== this.count.captures || this.capture.isBehind !== isBehind) {
      this.capture = { number: this.count.captures, isBehind };
    }
    this.seconds = seconds;
    this.nanos = nanos;
    if (isEarlier(seconds, nanos, this.firstSeconds, this.firstNanos)) {
      this.firstSeconds = seconds;
      this.firstNanos = nanos;
    }
    if (isEarlier(this.lastSeconds, this.lastNanos, seconds, nanos)) {
      this.lastSeconds = seconds;
      this.lastNanos = nanos;
    }
    return this.capture;
  }

  /** Earliest and latest record; null while there is none. */
  span(): { first: bigint; last: bigint } | null {
    if (this.firstSeconds === Number.POSITIVE_INFINITY) return null;
    return { first: toTime(this.firstSeconds, this.firstNanos), last: toTime(this.lastSeconds, this.lastNanos) };
  }
}

export class Tracks {
  /** The CPU of the last record. */
  last: Track | null = null;
  /** By CPU; one such list for each file or instance of a merged report. */
  private readonly buffers = new Map<string, Track[]>();
  private current: Track[] = [];
  /** Losses on an unknown CPU. */
  private readonly gaps: Gap[] = [];
  private readonly count = { captures: 0 };

  constructor(private readonly facts: SourceFacts) {
    this.select("");
  }

  /** Files and instances that lines are marked with. */
  get sources(): number {
    return this.buffers.size - 1;
  }

  /** Turns to the file or instance that a line's prefix names. */
  select(prefix: string): void {
    let tracks = this.buffers.get(prefix);
    if (!tracks && this.buffers.size < MAX_BUFFERS) {
      tracks = [];
      this.buffers.set(prefix, tracks);
    }
    if (tracks) this.current = tracks;
  }

  of(cpu: number): Track {
    let track = this.current[cpu];
    if (!track) {
      track = new Track(cpu, this.count);
      this.current[cpu] = track;
    }
    return track;
  }

  /** Another capture begins: its first stacks belong to nothing seen so far. */
  forgetPrevious(): void {
    for (const track of this.current) if (track) track.previous = null;
  }

  /** Events of a CPU are missing here, or (null) of any; `lost` is null when nobody counted them. */
  startGap(code: GapCode, cpu: number | null, lost: number | null): void {
    const of = cpu === null ? null : this.of(cpu);
    const gaps = of?.gaps ?? this.gaps;
    if (of) of.previous = null;
    else this.forgetPrevious();
    // Marks with no record between them are one gap.
    const same = gaps.find((gap) => gap.code === code);
    if (same) same.lost = same.lost === null || lost === null ? null : same.lost + lost;
    else gaps.push({ kind: "gap", code, cpu, from: (of ?? this.last)?.span()?.last ?? null, to: null, lost });
  }

  /** The gaps that a record of this CPU ends. */
  endGaps(track: Track, seconds: number, nanos: number): Gap[] {
    if (this.gaps.length === 0 && track.gaps.length === 0) return [];
    const ended = [...this.gaps.splice(0), ...track.gaps.splice(0)];
    for (const gap of ended) {
      gap.to = toTime(seconds, nanos);
      // In captures that are not in order nobody can say since when.
      if (gap.from !== null && gap.from > gap.to) gap.from = null;
    }
    this.facts.gaps.push(...ended);
    return ended;
  }

  /** Tells the facts from when to when there are records of each CPU, as far as the input has been read. */
  tell(): void {
    for (const track of this.all()) {
      const span = track.span();
      if (!span) continue;
      const known = this.facts.cpus.get(track.cpu);
      if (known && known.first < span.first) span.first = known.first;
      if (known && known.last > span.last) span.last = known.last;
      this.facts.cpus.set(track.cpu, span);
    }
  }

  /** The input has ended: what is lost stays lost. @returns the gaps without an end. */
  finish(): Gap[] {
    this.tell();
    const open = [...this.all().flatMap((track) => track.gaps), ...this.gaps];
    this.facts.gaps.push(...open);
    return open;
  }

  private all(): Track[] {
    return [...this.buffers.values()].flatMap((buffer) => Object.values(buffer));
  }
}
