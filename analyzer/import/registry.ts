/** Knows all formats, and opens what the user names by its content. */

import { openInput } from "./input.js";
import { traceDat } from "./trace-dat.js";
import { type Importer, type TraceReader, UnreadableInput } from "./trace-event.js";

/** In the order in which they are asked. */
export const importers: readonly Importer[] = [traceDat].sort((a, b) => a.priority - b.priority);

/** @throws UnreadableInput */
export async function openTrace(path: string): Promise<TraceReader> {
  const input = await openInput(path);
  const importer = importers.find((candidate) => candidate.sniff(input.head));
  if (importer === undefined) {
    input.close();
    throw new UnreadableInput(`${path}: no format that is known; ktally formats lists those that are`);
  }
  return importer.open(input);
}
