/** Brings ordered streams together into one. */

import type { Nanoseconds, TraceItem } from "./trace-event.js";

/** Batches of items in time order; null at the end. */
export interface ItemStream {
  next(): TraceItem[] | null;
}

const BATCH = 1000;

interface Head {
  /** Place in the list of streams: decides between equal times. */
  order: number;
  stream: ItemStream;
  items: TraceItem[];
  index: number;
  time: Nanoseconds;
}

/** Yields the items of all streams by time; of equal times those of the earlier stream first. */
export function* mergeByTime(streams: readonly ItemStream[]): Generator<TraceItem[]> {
  const heap: Head[] = [];
  streams.forEach((stream, order) => {
    const head: Head = { order, stream, items: [], index: 0, time: 0n };
    if (refill(head)) heap.push(head);
  });
  for (let at = heap.length >>> 1; at-- > 0; ) sink(heap, at);

  let batch: TraceItem[] = [];
  while (heap.length > 0) {
    const head = heap[0]!;
    batch.push(head.items[head.index++]!);
    if (batch.length >= BATCH) {
      yield batch;
      batch = [];
    }
    if (head.index < head.items.length) head.time = timeOf(head.items[head.index]!);
    else if (!refill(head)) {
      heap[0] = heap.at(-1)!;
      heap.pop();
    }
    sink(heap, 0);
  }
  if (batch.length > 0) yield batch;
}

function refill(head: Head): boolean {
  const items = head.stream.next();
  if (items === null) return false;
  head.items = items;
  head.index = 0;
  head.time = timeOf(items[0]!);
  return true;
}

/** A gap stands where the first event after it stands; an open one, after the last event before it. */
export function timeOf(item: TraceItem): Nanoseconds {
  return item.kind === "event" ? item.time : (item.to ?? item.from ?? 0n);
}

function isBefore(a: Head, b: Head): boolean {
  return a.time < b.time || (a.time === b.time && a.order < b.order);
}

function sink(heap: Head[], start: number): void {
  for (let at = start; ; ) {
    const left = 2 * at + 1;
    if (left >= heap.length) return;
    let least = isBefore(heap[left]!, heap[at]!) ? left : at;
    if (left + 1 < heap.length && isBefore(heap[left + 1]!, heap[least]!)) least = left + 1;
    if (least === at) return;
    [heap[at], heap[least]] = [heap[least]!, heap[at]!];
    at = least;
  }
}
