/** What probes would have shown, had it happened: only the silence of one that works is news. */
import { functionsWith } from "../../collectors/catalog/catalog.js";
import type { ClassEntry, Effect } from "../../collectors/catalog/schema.js";
import type { Decoder, ProbeUse } from "../decode/decoder.js";
import type { AuditEvent } from "../decode/operation.js";
import { waitsForReturn } from "../decode/values.js";
import type { SymbolTable } from "../import/trace-event.js";

/**
 * Whether a probe's events show an effect of the class as done, and on what: at entry, or at return where only that
 * decides.
 */
export function showsEffect(use: ProbeUse, entry: ClassEntry, effects: readonly Effect[]): boolean {
  const meaning = use.interpretation;
  if (!use.named) return false;
  if (meaning.role === "tracepoint") {
    return meaning.class === entry && effects.includes(entry.tracepoints[meaning.event]?.effect ?? "use");
  }
  if (meaning.role !== "entry" && meaning.role !== "return") return false;
  const spec = meaning.function.meanings.find((candidate) => candidate.class === entry)?.entry;
  return (
    spec?.effects.some((effect) => {
      return effects.includes(effect.effect) && waitsForReturn(effect) === (meaning.role === "return");
    }) === true
  );
}

/**
 * How well calls with an effect of a class are recorded: `all` functions that the kernel has, `some` of them, `absent`
 * where the kernel has none of them under its name (inlined, or nobody calls it), else `none`.
 */
export function recordsCalls(
  decoder: Decoder,
  symbols: SymbolTable | null,
  entry: ClassEntry,
  effect: Effect,
): "all" | "some" | "absent" | "none" {
  const recorded = new Set<string>();
  for (const use of decoder.uses) {
    const meaning = use.interpretation;
    if ("function" in meaning && typeof meaning.function === "object" && showsEffect(use, entry, [effect])) {
      recorded.add(meaning.function?.name ?? "");
    }
  }
  // Symbols of a module that was unloaded are missing, too: only where the others of the class are there they tell.
  const isLoaded = Object.keys(entry.functions).some((name) => symbols?.has(name) === true);
  const functions = functionsWith(entry, effect);
  const present = isLoaded ? functions.filter((name) => symbols?.has(name) === true) : functions;
  if (isLoaded && present.length === 0) return "absent";
  if (recorded.size === 0) return "none";
  return present.every((name) => recorded.has(name)) ? "all" : "some";
}

/** Whether a probe that shows the effect had worked before and has worked after: only then is its silence news. */
export function workedAround(
  decoder: Decoder,
  entry: ClassEntry,
  effects: readonly Effect[],
  before: AuditEvent,
  after: AuditEvent,
): boolean {
  for (const use of decoder.uses) {
    if (!showsEffect(use, entry, effects)) continue;
    if (use.first.time < before.time && use.last.time > after.time) return true;
  }
  return false;
}
