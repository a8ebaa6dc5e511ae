/**
 * Who is to blame, beyond what a rule sees: of a leak, the get that nobody gives back; of a put too many, the one that
 * no get goes with; of what a kworker did, who queued the work; of code that the compiler put into another function, the
 * function that it was in the source.
 */
import { functionsWith } from "../../collectors/catalog/catalog.js";
import { callChain } from "../decode/call-chain.js";
import type { Operation } from "../decode/operation.js";
import type { SymbolTable } from "../import/trace-event.js";
import type { Balances, Held, Life } from "../lifecycle/balances.js";
import { type CallSites, isCounting } from "../lifecycle/call-sites.js";
import type { Deferred } from "../lifecycle/deferred.js";
import type { KernelObject } from "../lifecycle/objects.js";
import type { Finding } from "./finding.js";

/** What was learned of a trace, for this purpose. */
export interface Lessons {
  balances: Balances;
  sites: CallSites;
  deferred: Deferred;
  symbols(source: number): SymbolTable | null;
}

/** Improves the findings' culprits in place. */
export function assignBlame(findings: readonly Finding[], lessons: Lessons): void {
  const { balances } = lessons;
  balances.finish(findings.filter(({ level }) => level === "error").map(lifeOf));
  for (const finding of findings) {
    const isOpen = finding.culprit.certain !== true;
    if (isOpen && finding.rule === "leak" && finding.variant === "leak") blameUnreturned(finding, lessons);
    if (isOpen && finding.rule === "extra-put") blameSurplus(finding, lessons);
    finding.culprit.site ??= inlinedFunction(finding);
    nameQueuer(finding, lessons);
  }
}

function blameUnreturned(finding: Finding, { balances, sites }: Lessons): void {
  const object = objectOf(finding, balances);
  if (!object || object.state === "destroyed") return;
  const held = balances.held(object);
  // The reference that it began with is taken for everybody; one that was added is the more likely one.
  const added = held.filter(({ gets }) => gets.some(({ effect }) => effect !== "create"));
  const [first, ...others] = added.length > 0 ? added : held;
  const get = first?.gets.findLast(({ effect }) => effect !== "create") ?? first?.gets.at(-1);
  if (!first || !get) return;
  accuse(finding, get, sites, first.gets, "taken, and never given back");
  finding.explanation += ` ${sentence(first, sites.of(get)?.name ?? get.function, others.length)}`;
}

/** Of puts that are too many, the one whose call site has no get; where it is not one alone, the rule's own stays. */
function blameSurplus(finding: Finding, { balances, sites }: Lessons): void {
  const object = objectOf(finding, balances);
  const [put, ...others] = object ? balances.surplus(object) : [];
  if (!put || others.length > 0 || put.event === finding.culprit.event) return;
  accuse(finding, put, sites, [put], "dropped, though nobody had taken it");
  finding.explanation += ` Nothing took what ${sites.of(put)?.name ?? put.function} gives back.`;
}

function objectOf(finding: Finding, balances: Balances): KernelObject | undefined {
  return balances.find(lifeOf(finding));
}

function lifeOf({ class: entry, object: { address, key, generation } }: Finding): Life {
  return { class: entry, key: address ?? key, generation };
}

/** Makes an operation the culprit, and marks it and its like in the story. */
function accuse(
  { culprit, evidence }: Finding,
  operation: Operation,
  sites: CallSites,
  marked: readonly Operation[],
  note: string,
): void {
  const { event } = operation;
  culprit.function = operation.function;
  culprit.event = event;
  const caller = sites.of(operation)?.caller ?? null;
  const from = caller === null ? [] : [`called by ${caller}`];
  const by = event.comm === "" ? [] : [`run by ${event.comm} (${event.tid})`];
  culprit.context = [...from, ...by].join(", ") || null;
  for (const one of marked) {
    const told = evidence.find((known) => known.operation === one);
    if (told) told.note = note;
    else evidence.push({ event: one.event, operation: one, note });
  }
  evidence.sort((a, b) => a.event.id - b.event.id);
}

/** Functions that queue for others (kernel/workqueue.c, kernel/rcu/tree.c). */
const QUEUEING =
  /^(__)?((mod_|queue_|schedule_)(rcu_|delayed_)?work|insert_work|delayed_work_timer_fn|(__)?call_rcu|call_srcu)/;

/** Of what a kworker did: who queued the work. */
function nameQueuer({ culprit, evidence }: Finding, { deferred, symbols }: Lessons): void {
  const queued = culprit.event === null ? null : deferred.origin(culprit.event);
  if (queued === null) return;
  const { event } = queued;
  const chain = callChain(symbols(event.source), event);
  const caller = chain.find((name) => !QUEUEING.test(name)) ?? queued.function;
  const words = `in work that ${caller} queued${event.comm === "" ? "" : ` (${event.comm} ${event.tid})`}`;
  culprit.context = culprit.context === null ? words : `${culprit.context}, ${words}`;
  if (evidence.some((one) => one.event === event)) return;
  evidence.push({ event, operation: queued, note: `${caller} queues the work` });
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
