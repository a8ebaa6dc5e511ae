/** What is true of a source before any of it was read. */
import type { SourceFacts } from "./trace-event.js";

/** @param format in words, as `ktally formats` lists it */
export function blankFacts(path: string, format: string): SourceFacts {
  return {
    path,
    format,
    clock: null,
    clockIsTime: true,
    kernel: null,
    eventCount: 0,
    cpus: new Map(),
    gaps: [],
    diagnostics: [],
    listed: [],
    symbols: null,
  };
}
