/**
 * Who is to blame, beyond what a rule sees: of a leak, the get that nobody gives back; of code that the compiler put
 * into another function, the function that it was in the source.
 */
import { functionsWith } from "../../collectors/catalog/catalog.js";
import type { Operation } from "../decode/operation.js";
import type { Balances, Held } from "../lifecycle/balances.js";
import { type CallSites, isCounting } from "../lifecycle/call-sites.js";
import type { Finding } from "./finding.js";

/** Improves the findings' culprits in place. */
export function assignBlame(findings: readonly Finding[], balances: Balances, sites: CallSites): void {
  for (const finding of findings) {
    const isOpen = finding.rule === "leak" && finding.variant === "leak" && finding.culprit.certain !== true;
    if (isOpen) blameUnreturned(finding, balances, sites);
    finding.culprit.site ??= inlinedFunction(finding);
  }
}

function blameUnreturned(finding: Finding, balances: Balances, sites: CallSites): void {
  const object = [...balances.open()].find(
    (candidate) =>
      candidate.class === finding.class &&
      candidate.key === (finding.object.address ?? finding.object.key) &&
      candidate.generation === finding.object.generation,
  );
  if (!object) return;
  const held = balances.held(object);
  // The reference that it began with is taken for everybody; one that was added is the more likely one.
  const added = held.filter(({ gets }) => gets.some(({ effect }) => effect !== "create"));
  const [first, ...others] = added.length > 0 ? added : held;
  const get = first?.gets.findLast(({ effect }) => effect !== "create") ?? first?.gets.at(-1);
  if (!first || !get) return;
  const site = sites.of(get);
  const { culprit, evidence } = finding;
  culprit.function = get.function;
  culprit.event = get.event;
  const by = get.event.comm === "" ? null : `run by ${get.event.comm} (${get.event.tid})`;
  const from = site?.caller == null ? null : `called by ${site.caller}`;
  culprit.context = [from, by].filter((part) => part !== null).join(", ") || null;
  finding.explanation += ` ${sentence(first, site?.name ?? get.function, others.length)}`;
  const note = "taken, and never given back";
  for (const one of first.gets) {
    const told = evidence.find(({ operation }) => operation === one);
    if (told) told.note = note;
    else evidence.push({ event: one.event, operation: one, note });
  }
  evidence.sort((a, b) => a.event.id - b.event.id);
}

function sentence({ pair, count }: Held, name: string, others: number): string {
  const which = pair.gets.length > 1 ? `one of ${pair.gets.map((site) => site.name).join(", ")}` : name;
  const puts = pair.puts.map((site) => site.name).join(" or ");
  const times = count === 1 ? "" : ` (${count} times)`;
  const more = others === 0 ? "" : ` So it is at ${others} other ${others === 1 ? "place" : "places"}.`;
  if (puts === "") return `Nothing gives back what ${which} took${times}.${more}`;
  const shown = pair.lessons === 0 ? "" : ", as balanced objects in this trace show";
  return `What ${which} takes is given back by ${puts}${shown}; here it was not${times}.${more}`;
}

/** The get or put of the class that was inlined where the culprit's instruction is, if only one can be meant. */
function inlinedFunction({ class: entry, culprit, evidence }: Finding): string | null {
  const operation = evidence.find((one) => one.operation?.event === culprit.event && one.operation?.site)?.operation;
  if (!operation || isCounting(entry, operation.function)) return null;
  const candidates = functionsWith(entry, operation.effect).filter((name) => canBeInlined(operation, name));
  return candidates.length === 1 ? (candidates[0] ?? null) : null;
}

/** The catalog says that callers have their own copy, and it tries as the instruction does, or does not. */
function canBeInlined({ class: entry, effect, function: inside }: Operation, name: string): boolean {
  const spec = entry.functions[name];
  const tries = spec?.effects.some((one) => one.effect === effect && one.when !== undefined) === true;
  return spec?.inlined !== undefined && tries === (entry.sites[inside]?.try === true);
}
