/**
 * Puts items in time order and waits until each event knows what came after it.
 *
 * An event may leave when the next record of its CPU has been seen (`nextOnCpu`) and when `REORDER_RECORDS` more
 * records of any CPU have, so that lines that go backwards a little (unsorted or concatenated captures) still find
 * their place. Neither a silent CPU nor a clock that starts anew may hold back the rest for ever: beyond `MAX_HELD`
 * items the oldest leaves, if need be with `nextOnCpu` null, that is with a wider window than it had, which can only
 * make a verdict weaker. So do the events of a live stream that have waited for a while.
 */
import { isEarlier, toTime } from "./text-line.js";
import type { ProbeChoice } from "./text-probes.js";
import type { TraceEvent, TraceItem } from "./trace-event.js";

const REORDER_RECORDS = 4096;
const MAX_HELD = 65_536;
/** Events of one CPU without a later record yet: more than one only where its clock went backwards. */
const MAX_OPEN = 16;

/** An item on its way; `item` is null once it has left or turned out to be unwanted. */
export interface Held {
  seconds: number;
  nanos: number;
  /** Number of the record, in file order, with which it came. */
  record: number;
  item: TraceItem | null;
  /** An event until the next record of its CPU has been seen. */
  waits: boolean;
  /** Null for a gap. */
  choice: ProbeChoice | null;
  /** Where in the text it stands, where a CPU's clock goes back; null for a gap. */
  capture: Capture | null;
}

/** A part of a text in which a CPU's clock does not go back: several stand behind each other where somebody joined them. */
export interface Capture {
  number: number;
  /** Well before what an earlier one had of this CPU already. */
  isBehind: boolean;
}

export class Timeline {
  /** Items that came too late to be handed out in order. */
  late = 0;
  /** Events that left before the next record of their CPU was seen. */
  unfollowed = 0;
  /** Events of a time that an earlier part of the text was of, and did not have. */
  foreign = 0;
  /** What was handed out of the last time. */
  private latest: { event: TraceEvent; capture: number }[] = [];
  private held: Held[] = [];
  private head = 0;
  private isSorted = true;
  private lastSeconds = Number.NEGATIVE_INFINITY;
  private lastNanos = 0;

  add(held: Held): void {
    const last = this.held.at(-1);
    if (last && compareTimes(held, last) < 0) this.isSorted = false;
    this.held.push(held);
  }

  /**
   * Hands out what may leave after `records` records, equal times in the order of the text; in the end everything.
   * @param settled Records up to this one came so long ago (of a live stream) that nothing older will come.
   */
  take(records: number, ended: boolean, settled = 0): TraceItem[] {
    if (!this.isSorted || this.head * 2 > this.held.length) {
      this.held = this.held.slice(this.head);
      this.head = 0;
      if (!this.isSorted) this.held.sort(compareTimes);
      this.isSorted = true;
    }
    const items: TraceItem[] = [];
    for (; this.head < this.held.length; this.head++) {
      const held = this.held[this.head]!;
      if (!ended && held.item !== null && held.record > settled) {
        const crowded = this.held.length - this.head > MAX_HELD;
        if (!crowded && (held.waits || records - held.record < REORDER_RECORDS)) break;
        if (held.waits) this.unfollowed++;
      }
      if (held.choice?.isRefused()) held.item = null;
      if (held.item === null) continue;
      if (this.isAgain(held)) {
        held.item = null;
        continue;
      }
      items.push(held.item);
      held.item = null;
    }
    return items;
  }

  /** Whether an earlier part of the text has the same event: `cat trace >> FILE` repeats what is in the buffer still. */
  private isAgain(held: Held): boolean {
    if (held.seconds !== this.lastSeconds || held.nanos !== this.lastNanos) {
      if (isEarlier(held.seconds, held.nanos, this.lastSeconds, this.lastNanos)) this.late++;
      this.lastSeconds = held.seconds;
      this.lastNanos = held.nanos;
      this.latest = [];
    }
    const { item, capture } = held;
    if (item?.kind !== "event" || capture === null) return false;
    if (this.latest.some((other) => other.capture !== capture.number && isSame(other.event, item))) return true;
    this.latest.push({ event: item, capture: capture.number });
    if (capture.isBehind) this.foreign++;
    return false;
  }
}

/** The events of one CPU whose next record is still to come. */
export class OpenEvents {
  private open: Held[] = [];

  add(held: Held): void {
    if (this.open.length === MAX_OPEN) this.open.shift()!.waits = false;
    this.open.push(held);
  }

  /** A record of this CPU at this time: closes what came before it. */
  follow(seconds: number, nanos: number): void {
    if (this.open.length === 0) return;
    const time = toTime(seconds, nanos);
    this.open = this.open.filter((held) => {
      const event = held.item as TraceEvent | null;
      // A clock that went back: this record lies before the event, a later one will follow it.
      if (event !== null && event.time > time) return true;
      held.waits = false;
      if (held.choice?.isRefused()) held.item = null;
      else if (event !== null) event.nextOnCpu = time;
      return false;
    });
  }
}

function isSame(a: TraceEvent, b: TraceEvent): boolean {
  if (a.probe !== b.probe || a.tid !== b.tid || a.cpu !== b.cpu) return false;
  return a.args.every((value, index) => value === b.args[index]);
}

function compareTimes(a: Held, b: Held): number {
  return a.seconds - b.seconds || a.nanos - b.nanos;
}
