/**
 * Time order for recordings that write CPU by CPU in rounds: what comes after the end of a round is not older than
 * what was read before the round began (tools/perf/util/ordered-events.c).
 */
import type { Nanoseconds } from "./trace-event.js";

export interface Timed {
  time: Nanoseconds;
}

/** Beyond so many, a recording without rounds is handed out in the order that it has. */
const MOST_HELD = 1 << 20;

export class RoundOrder<Entry extends Timed> {
  /** Entries that were handed out before older ones came. */
  late = 0;
  private held: Entry[] = [];
  private latest: Nanoseconds = 0n;
  /** Nothing older than this can come any more. */
  private settled: Nanoseconds = 0n;
  private lastOut: Nanoseconds = 0n;

  add(entry: Entry): void {
    this.held.push(entry);
  }

  /** A record that nobody wants has this time. */
  pass(time: Nanoseconds): void {
    if (time > this.latest) this.latest = time;
  }

  /** @returns what may be handed out at the end of a round. */
  endRound(): Entry[] {
    const ready = this.release(this.settled);
    this.settled = this.latest;
    return ready;
  }

  /** @returns what has to be handed out although no round has ended. */
  takeExcess(): Entry[] {
    return this.held.length > MOST_HELD ? this.release(null, MOST_HELD >> 1) : [];
  }

  finish(): Entry[] {
    return this.release(null);
  }

  /** @returns at most `most` entries, the oldest, none of them younger than `until`. */
  private release(until: Nanoseconds | null, most = this.held.length): Entry[] {
    this.held.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
    let count = most;
    if (until !== null) {
      count = 0;
      while (count < most && this.held[count]!.time <= until) count++;
    }
    const ready = this.held.splice(0, count);
    for (const { time } of ready) {
      // What has no time holds from the start.
      if (time < this.lastOut && time !== 0n) this.late++;
      else if (time > this.lastOut) this.lastOut = time;
    }
    return ready;
  }
}
