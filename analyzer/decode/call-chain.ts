import type { SymbolTable, TraceEvent } from "../import/trace-event.js";
import { withoutCloneSuffix } from "./interpret.js";
import { TRACER } from "./tracer-frames.js";

/** Functions of an event's stack, innermost first; an address where no symbol is known, `?` where not even that. */
export function callChain(symbols: SymbolTable | null, event: Pick<TraceEvent, "stack">): string[] {
  const names: string[] = [];
  for (const frame of event.stack?.frames ?? []) {
    const symbol = frame.symbol ?? (frame.address === null ? null : (symbols?.locate(frame.address).symbol ?? null));
    if (symbol === null) {
      names.push(frame.address === null ? "?" : `0x${frame.address.toString(16)}`);
      continue;
    }
    if (names.length === 0 && TRACER.test(symbol)) continue;
    names.push(withoutCloneSuffix(symbol));
  }
  return names;
}

/** Whether a name of a call chain is a function and not a bare address. */
export function isFunction(name: string): boolean {
  return name !== "?" && !name.startsWith("0x");
}
