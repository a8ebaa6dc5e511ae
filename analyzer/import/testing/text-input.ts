/** Inputs made of text in memory, as a file and as a stream, for the text importers' tests. */
import type { Importer, Input, SourceFacts, TraceEvent, TraceItem, Wants } from "../trace-event.js";

export function fileOf(text: string | Buffer): Input {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  return {
    path: "made-up.txt",
    size: bytes.length,
    read: (offset, length) => bytes.subarray(offset, offset + length),
    head: bytes.subarray(0, 65_536),
    lines: null,
    close: () => {},
  };
}

export function streamOf(text: string): Input {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  return {
    path: "-",
    size: null,
    read: () => {
      throw new Error("a stream cannot be read at an offset");
    },
    head: Buffer.from(text).subarray(0, 65_536),
    lines: (async function* () {
      yield* lines;
    })(),
    close: () => {},
  };
}

export interface Reading {
  facts: SourceFacts;
  items: TraceItem[];
  events: TraceEvent[];
}

export async function readAll(importer: Importer, input: Input, wants: Wants = () => true): Promise<Reading> {
  const reader = await importer.open(input);
  const items: TraceItem[] = [];
  for await (const batch of reader.read(wants)) items.push(...batch);
  reader.close();
  return { facts: reader.facts, items, events: items.filter((item) => item.kind === "event") };
}
