import type { Input, TraceEvent, TraceItem, TraceReader, Wants } from "../trace-event.js";

/** A file that exists in memory only. */
export function memoryInput(content: Buffer, path = "test.dat"): Input {
  return {
    path,
    size: content.length,
    read: (offset, length) => content.subarray(offset, offset + length),
    head: content.subarray(0, 0x10000),
    lines: null,
    close: () => {},
  };
}

export async function readItems(reader: TraceReader, wants: Wants = () => true): Promise<TraceItem[]> {
  const items: TraceItem[] = [];
  for await (const batch of reader.read(wants)) items.push(...batch);
  return items;
}

export function eventsOf(items: readonly TraceItem[]): TraceEvent[] {
  return items.filter((item) => item.kind === "event");
}
