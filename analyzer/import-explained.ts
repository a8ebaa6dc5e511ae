/** What files are and how much of them an audit can use: for whoever recorded them, and will record again. */
import type { Catalog } from "../collectors/catalog/catalog.js";
import { auditReaders, openTraces } from "./audit.js";
import type { ProbeUse } from "./decode/decoder.js";
import type { Interpretation } from "./decode/interpret.js";
import type { Probe, SourceFacts } from "./import/trace-event.js";
import type { Coverage } from "./lifecycle/coverage.js";

export interface ExplainedProbe {
  probe: Probe;
  events: number;
  /** What its events do (`kvm put`); none when nobody knows what it is on. */
  effects: string[];
  /** How its function is known, or why it is not. */
  known: string;
  isUnderstood: boolean;
}

export interface ExplainedSource {
  /** Complete, but for symbols that nobody has asked for: the file is closed. */
  facts: SourceFacts;
  hasSymbols: boolean;
  /** Events that matter to a class and count. */
  relevant: number;
  probes: ExplainedProbe[];
  /** Kinds of events that matter to no class. */
  passedOver: string[];
}

export interface ExplainedImport {
  sources: ExplainedSource[];
  coverage: Coverage[];
  /** Classes that were seen in part: what to record to know more of them. */
  classes: string[];
}

/** Reads the files as an audit does. @throws UnreadableInput */
export async function explainImport(paths: readonly string[], catalog: Catalog): Promise<ExplainedImport> {
  const readers = await openTraces(paths);
  try {
    const { sources, relevant, decoder, coverage } = await auditReaders(readers, { catalog, classes: null }, null);
    const uses = [...decoder.uses];
    const passedOver = decoder.passedOver();
    const partly = coverage.filter(({ state }) => state === "partial" || state === "blind");
    const active = coverage.filter(({ state, reasons }) => state === "absent" && reasons.length > 0);
    return {
      sources: sources.map((facts, source) => ({
        facts,
        // Here, while they can still be read.
        hasSymbols: facts.symbols !== null,
        relevant: relevant[source] ?? 0,
        probes: uses.filter(({ first }) => first.source === source).map((use) => explainProbe(use, facts)),
        passedOver: [...new Set(passedOver.flatMap((probe) => (listedIn(probe, facts) ? [nameOf(probe)] : [])))],
      })),
      coverage,
      classes: [...partly, ...active].map(({ class: entry }) => entry.class).filter((name) => name !== "module"),
    };
  } finally {
    for (const reader of readers) reader.close();
  }
}

/** With several sources only those that list their events tell whose a probe is. */
function listedIn(probe: Probe, { listed }: SourceFacts): boolean {
  return listed.length === 0 || listed.some(({ system, name }) => system === probe.system && name === probe.name);
}

export function nameOf({ system, name }: Pick<Probe, "system" | "name">): string {
  return system === null ? name : `${system}:${name}`;
}

function explainProbe({ probe, hits, interpretation }: ProbeUse, facts: SourceFacts): ExplainedProbe {
  const effects = effectsOf(interpretation);
  return {
    probe,
    events: hits,
    effects,
    known: howKnown(probe, interpretation, facts),
    isUnderstood: interpretation.role !== "unknown",
  };
}

function effectsOf(meaning: Interpretation): string[] {
  switch (meaning.role) {
    case "entry":
      return meaning.function.meanings.flatMap(({ class: entry, entry: { effects } }) =>
        effects.map(({ effect }) => `${entry.class} ${effect}`),
      );
    case "return":
      return meaning.function.meanings.map(({ class: entry }) => `${entry.class} result`);
    case "site":
      return [`${meaning.class.class} get or put`];
    case "stored":
      return [`${meaning.object} that ${meaning.function.name} makes`];
    case "tracepoint":
      return [`${meaning.class.class} ${meaning.class.tracepoints[meaning.event]?.effect ?? "use"}`];
    default:
      return [];
  }
}

function howKnown(probe: Probe, meaning: Interpretation, facts: SourceFacts): string {
  if (meaning.role === "tracepoint") return "a tracepoint";
  const place = probe.at?.module == null ? "" : ` in ${probe.at.module}`;
  const symbol = probe.at?.symbol ?? null;
  if (symbol !== null) {
    const offset = probe.at?.offset ? `+0x${probe.at.offset.toString(16)}` : "";
    const source = probe.at?.address == null ? "printed" : facts.symbols ? "by its address" : "by its stack";
    return `${symbol}${offset}${place}, ${source}`;
  }
  const address = probe.at?.address == null ? "no address" : `0x${probe.at.address.toString(16)}${place}`;
  if (meaning.role === "unknown") return `${address}: no symbol, no stack, and its name tells nothing`;
  return meaning.role === "site" && meaning.function === null ? `${address}, by what it records` : "by its name";
}
