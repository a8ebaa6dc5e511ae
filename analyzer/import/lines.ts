/** Reads a text line by line, whatever its lines look like: what every reader of a text format has in common. */
import type { LineReader } from "./text-file.js";
import { Notes } from "./text-notes.js";
import { Timeline } from "./text-timeline.js";
import { type Track, Tracks } from "./text-tracks.js";
import type { Gap, SourceFacts, TraceItem } from "./trace-event.js";

/** Longer lines are damage: a record fits into a ring-buffer page, which prints to a few KiB. */
export const MAX_LINE = 65_536;

/** `Result` is what a format makes of one line. */
export abstract class Lines<Result = void> implements LineReader {
  protected readonly notes: Notes;
  protected readonly timeline = new Timeline();
  protected readonly tracks: Tracks;
  protected lineNumber = 0;
  /** Records that had come when `settle` was called last. */
  private settled = 0;

  constructor(protected readonly facts: SourceFacts) {
    this.notes = new Notes(facts.diagnostics);
    this.tracks = new Tracks(facts);
  }

  /** Reads the line in `buffer[start, end)`, at this offset of its file. */
  protected abstract readLine(buffer: Buffer, start: number, end: number, offset: number | null): Result;
  /** What is still open at the end of the text. */
  protected abstract endText(): void;
  /** What only the whole text tells; gaps that follow from it are returned. */
  protected abstract conclude(): TraceItem[];

  feed(buffer: Buffer, offset: number | null): number {
    let start = 0;
    for (;;) {
      const end = buffer.indexOf(0x0a, start);
      if (end === -1) return start;
      this.takeLine(buffer, start, end, offset === null ? null : offset + start);
      start = end + 1;
    }
  }

  feedRest(buffer: Buffer, offset: number): void {
    if (buffer.length > 0) this.takeLine(buffer, 0, buffer.length, offset);
  }

  skipEndlessLine(offset: number): void {
    this.damage("a line without end", offset);
    this.lineNumber++;
  }

  take(): TraceItem[] {
    return this.timeline.take(this.facts.eventCount, false);
  }

  settle(): TraceItem[] {
    const items = this.timeline.take(this.facts.eventCount, false, this.settled);
    this.tracks.tell();
    this.settled = this.facts.eventCount;
    return items;
  }

  finish(): TraceItem[] {
    this.endText();
    const items = this.timeline.take(this.facts.eventCount, true);
    items.push(...this.tracks.finish(), ...this.judgeOrder(), ...this.conclude());
    this.notes.finish();
    return items;
  }

  /** Who joined recordings of several boots, or in no order, has made one timeline of what never was one. */
  private judgeOrder(): TraceItem[] {
    const { late, foreign } = this.timeline;
    if (late > 0)
      this.notes.warn(`${late} events are older than what stands far before them: sort the text`, null, null);
    if (foreign > 0)
      this.notes.warn(
        `the clock goes back to what was recorded already (${foreign} events): if the text holds several recordings, analyze each by itself`,
        null,
        null,
      );
    return late > 0 || foreign > 0 ? [this.leaveOut()] : [];
  }

  /** Nobody knows what is missing, or in which order: all that the text shows may be otherwise. */
  protected leaveOut(): Gap {
    const gap: Gap = { kind: "gap", code: "left-out", cpu: null, from: null, to: null, lost: null };
    this.facts.gaps.push(gap);
    return gap;
  }

  /** A record of this CPU at this time: what was lost before it is known by now. */
  protected endGaps(track: Track, seconds: number, nanos: number): void {
    for (const item of this.tracks.endGaps(track, seconds, nanos)) {
      const record = this.facts.eventCount;
      this.timeline.add({ seconds, nanos, record, item, waits: false, choice: null, capture: null });
    }
  }

  /** @returns undefined for a line that is too long to be any. */
  protected takeLine(buffer: Buffer, start: number, lineEnd: number, offset: number | null): Result | undefined {
    this.lineNumber++;
    const end = lineEnd > start && buffer[lineEnd - 1] === 0x0d ? lineEnd - 1 : lineEnd;
    if (end - start <= MAX_LINE) return this.readLine(buffer, start, end, offset);
    this.damage("a line too long to be an event", offset);
    return undefined;
  }

  /** A part of the input that holds no line. */
  protected damage(message: string, offset: number | null): void {
    this.notes.warn(message, offset, this.lineNumber + 1);
    this.tracks.startGap("damaged", null, null);
  }
}
