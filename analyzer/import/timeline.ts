/**
 * Several sources of one machine as one timeline. Where two sources hold the same recording, each event counts once:
 * the binary source's (design, section 6).
 */
import { timeOf } from "./merge.js";
import type { Gap, Nanoseconds, TraceEvent, TraceItem, TraceReader, Wants } from "./trace-event.js";

/** trace-cmd rounds to microseconds, the kernel cuts off: equal events lie at most this far apart. */
const SAME_WITHIN = 1_000n;

/** An event with the index of its source in the list given. */
export interface SourcedEvent extends TraceEvent {
  source: number;
}

export type TimelineItem = SourcedEvent | Gap;

/** Reads all sources in time order. `wants` is asked once per probe of each source. */
export async function* readTimeline(
  readers: readonly TraceReader[],
  wants: (source: number) => Wants,
): AsyncGenerator<TimelineItem[]> {
  const [only] = readers;
  if (only && readers.length === 1) {
    for await (const batch of only.read(wants(0))) yield sourced(batch, 0);
    return;
  }
  yield* mergeSources(readers, wants);
}

class Cursor {
  #batch: readonly TimelineItem[] = [];
  #index = 0;
  readonly #batches: AsyncIterator<TraceItem[]>;
  item: TimelineItem | null = null;
  /** Time at which the item is looked at: later for lower ranks, so that its equals have been seen by then. */
  due: Nanoseconds = 0n;

  constructor(
    readonly source: number,
    readonly rank: number,
    reader: TraceReader,
    wants: Wants,
  ) {
    this.#batches = reader.read(wants)[Symbol.asyncIterator]();
  }

  async advance(): Promise<void> {
    while (this.#index >= this.#batch.length) {
      const next = await this.#batches.next();
      if (next.done === true) {
        this.item = null;
        return;
      }
      this.#batch = sourced(next.value, this.source);
      this.#index = 0;
    }
    this.item = this.#batch[this.#index++] ?? null;
    if (this.item) this.due = timeOf(this.item) + (this.rank > 0 ? SAME_WITHIN : 0n);
  }
}

async function* mergeSources(
  readers: readonly TraceReader[],
  wants: (source: number) => Wants,
): AsyncGenerator<TimelineItem[]> {
  // Binary sources come first: they are exact.
  const order = [...readers.keys()].sort((a, b) => rankOf(readers[a]) - rankOf(readers[b]) || a - b);
  const cursors = order.map((source, rank) => new Cursor(source, rank, readers[source] as TraceReader, wants(source)));
  for (const cursor of cursors) await cursor.advance();
  const recent = new RecentEvents();
  const gaps: Gap[] = [];
  let held: TimelineItem[] = [];
  for (;;) {
    const cursor = earliest(cursors);
    if (!cursor?.item) break;
    const { item, source, rank, due } = cursor;
    if (item.kind === "gap") {
      if (!recent.fills(item, source) && !gaps.some((gap) => isSameGap(gap, item))) {
        gaps.push(item);
        insert(held, item);
      }
    } else if (!recent.isSeen(item, rank)) {
      recent.add(item, rank);
      insert(held, item);
    }
    await cursor.advance();
    if (held.length >= 2000) {
      const cut = held.findIndex((waiting) => timeOf(waiting) > due - 2n * SAME_WITHIN);
      if (cut > 0) {
        yield held.slice(0, cut);
        held = held.slice(cut);
      }
    }
  }
  if (held.length > 0) yield held;
}

/** Events of the last moments by CPU, task and name, so that another source's copies are known. */
class RecentEvents {
  readonly #byName = new Map<string, { time: Nanoseconds; rank: number; taken: Set<number> }[]>();
  /** Per source and CPU, times of events that no other source had. */
  readonly #own: { source: number; cpu: number; time: Nanoseconds }[] = [];

  /** Whether a source of higher rank has this event: its n-th copy stands for the n-th there. */
  isSeen(event: TraceEvent, rank: number): boolean {
    const list = this.#byName.get(nameOf(event));
    const twin = list?.find(
      (known) => known.rank < rank && !known.taken.has(rank) && distance(known.time, event.time) <= SAME_WITHIN,
    );
    twin?.taken.add(rank);
    return twin !== undefined;
  }

  add(event: SourcedEvent, rank: number): void {
    const name = nameOf(event);
    const list = (this.#byName.get(name) ?? []).filter((known) => event.time - known.time <= 4n * SAME_WITHIN);
    list.push({ time: event.time, rank, taken: new Set() });
    this.#byName.set(name, list);
    this.#own.push({ source: event.source, cpu: event.cpu, time: event.time });
    if (this.#own.length > 20_000) this.#own.splice(0, 10_000);
  }

  /** Whether another source has the events that this gap says are missing. */
  fills(gap: Gap, source: number): boolean {
    if (gap.from === null || gap.to === null || gap.cpu === null) return false;
    const { from, to, cpu } = gap;
    const found = this.#own.filter(
      (own) => own.source !== source && own.cpu === cpu && own.time > from && own.time < to,
    );
    return found.length >= (gap.lost ?? 1);
  }
}

/** The same items: no copy is made of what a reader hands over. */
function sourced(batch: TraceItem[], source: number): TimelineItem[] {
  for (const item of batch) if (item.kind === "event") (item as SourcedEvent).source = source;
  return batch as TimelineItem[];
}

function rankOf(reader: TraceReader | undefined): number {
  return reader?.facts.format.startsWith("trace.dat") === true ? 0 : 1;
}

function earliest(cursors: readonly Cursor[]): Cursor | null {
  let first: Cursor | null = null;
  for (const cursor of cursors) {
    if (cursor.item && (first === null || cursor.due < first.due)) first = cursor;
  }
  return first;
}

function nameOf(event: TraceEvent): string {
  return `${event.cpu}/${event.tid}/${event.probe.name}`;
}

function distance(a: Nanoseconds, b: Nanoseconds): Nanoseconds {
  return a < b ? b - a : a - b;
}

function isSameGap(a: Gap, b: Gap): boolean {
  if (a.cpu !== b.cpu || a.code !== b.code) return false;
  return a.to === null || b.to === null ? a.to === b.to : distance(a.to, b.to) <= SAME_WITHIN;
}

/** Items come nearly in order; a later source's event may belong a microsecond earlier. */
function insert(list: TimelineItem[], item: TimelineItem): void {
  const time = timeOf(item);
  let at = list.length;
  while (at > 0 && timeOf(list[at - 1]!) > time) at--;
  list.splice(at, 0, item);
}
