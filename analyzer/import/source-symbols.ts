/** The kernel's symbols of a binary source. */
import { parseKallsyms } from "./kallsyms.js";
import { DamagedPart } from "./trace-dat-bytes.js";
import type { Report } from "./trace-dat-file.js";
import type { SourceFacts, SymbolTable } from "./trace-event.js";

interface Kallsyms {
  /** Reads their text; null where the source has none. @throws DamagedPart */
  kallsyms: (() => Buffer) | null;
}

/**
 * Gives the source its symbols once something asks for them, since parsing takes about 100 ms.
 * @returns the same facts
 */
export function withSymbols(facts: SourceFacts, source: Kallsyms, report: Report): SourceFacts {
  let symbols: SymbolTable | null | undefined;
  return Object.defineProperty(facts, "symbols", {
    enumerable: true,
    get: () => {
      if (symbols === undefined) symbols = readSymbols(source, report);
      return symbols;
    },
    set: (table: SymbolTable | null) => {
      symbols = table;
    },
  });
}

function readSymbols({ kallsyms }: Kallsyms, report: Report): SymbolTable | null {
  try {
    return kallsyms === null ? null : parseKallsyms(kallsyms());
  } catch (error) {
    if (!(error instanceof DamagedPart)) throw error;
    report("error", error.offset, `the kernel's symbols cannot be read: ${error.message}`);
    return null;
  }
}
