/**
 * Who holds the references of each object: every get and put by call site, and at the end the gets that no put gives
 * back. What nobody saw being taken is not in it; the counter's value tells how many those are.
 */
import type { ClassEntry } from "../../collectors/catalog/schema.js";
import type { Operation } from "../decode/operation.js";
import type { CallSite, CallSites } from "./call-sites.js";
import type { KernelObject } from "./objects.js";
import { type Lesson, type Pair, pairSites } from "./pairs.js";
import type { Observer } from "./world.js";

/** What one life did at one call site. */
interface Passed {
  count: number;
  /** The first ones, and the last. */
  operations: Operation[];
}

type Tally = Map<CallSite, Passed>;

/** Operations that are remembered per object and call site: half of them the first, half the last ones. */
const REMEMBERED = 32;
/** Lives that are over and not learned from yet: whether they can be trusted shows when the audit is over. */
const MOST_KEPT = 4096;
/** Different lives that are learned from, per class. */
const MOST_LESSONS = 64;

/** References that were taken and not given back. */
export interface Held {
  object: KernelObject;
  pair: Pair;
  /** How many; more than `gets` where not all are remembered. */
  count: number;
  /** The gets, as far as the task tells which ones; in order of time. */
  gets: Operation[];
}

export class Balances implements Observer {
  readonly #sites: CallSites;
  readonly #tallies = new Map<KernelObject, Tally>();
  readonly #lessons = new Map<ClassEntry, Map<string, Lesson>>();
  /** Lives that are over, the oldest first. */
  readonly #over: KernelObject[] = [];
  #pairs: Map<ClassEntry, Pair[]> | null = null;

  constructor(sites: CallSites) {
    this.#sites = sites;
  }

  operation(operation: Operation, object: KernelObject): void {
    if (operation.outcome === "refused" || operation.delta === 0) return;
    const site = this.#sites.of(operation);
    if (!site) return;
    let tally = this.#tallies.get(object);
    if (!tally) {
      tally = new Map();
      this.#tallies.set(object, tally);
    }
    let passed = tally.get(site);
    if (!passed) {
      passed = { count: 0, operations: [] };
      tally.set(site, passed);
    }
    passed.count++;
    if (passed.operations.length >= REMEMBERED) passed.operations.splice(REMEMBERED / 2, 1);
    passed.operations.push(operation);
  }

  updated(operation: Operation, object: KernelObject, what: "outcome" | "read"): void {
    if (what !== "outcome" || operation.outcome !== "refused") return;
    const site = this.#sites.of(operation);
    const passed = site && this.#tallies.get(object)?.get(site);
    const index = passed?.operations.lastIndexOf(operation) ?? -1;
    if (!passed || index < 0) return;
    passed.count--;
    passed.operations.splice(index, 1);
  }

  began(_object: KernelObject, before: KernelObject | null): void {
    if (before) this.#keep(before);
  }

  forgotten(object: KernelObject): void {
    this.#keep(object);
  }

  /** The audit is over: what is left is learned from, but for lives that something was wrong with. */
  finish(distrusted: ReadonlySet<KernelObject>): void {
    this.#pairs = new Map();
    for (const [object, tally] of this.#tallies) {
      if (distrusted.has(object)) this.#countCreation(object, tally);
      else this.#learn(object);
    }
  }

  #keep(object: KernelObject): void {
    if (!this.#tallies.has(object)) return;
    this.#over.push(object);
    const oldest = this.#over.length > MOST_KEPT ? this.#over.shift() : undefined;
    if (!oldest) return;
    this.#learn(oldest);
    this.#tallies.delete(oldest);
  }

  /** The audit was judged before its end: what is still to come teaches more. */
  goOn(): void {
    this.#pairs = null;
  }

  /** Pairs of a class's call sites, by what was seen so far. */
  pairs(entry: ClassEntry): readonly Pair[] {
    if (this.#pairs === null) this.finish(new Set());
    let pairs = this.#pairs?.get(entry);
    if (!pairs) {
      const sites = [...this.#sites.all()].filter((site) => site.class === entry);
      pairs = pairSites(sites, [...(this.#lessons.get(entry)?.values() ?? [])]);
      this.#pairs?.set(entry, pairs);
    }
    return pairs;
  }

  /** What is still held of an object that is not known to be gone; call when the audit is over. */
  held(object: KernelObject): Held[] {
    const tally = this.#tallies.get(object);
    if (!tally) return [];
    const held: Held[] = [];
    for (const pair of this.pairs(object.class)) {
      const count = total(tally, pair.gets) - total(tally, pair.puts);
      if (count <= 0) continue;
      const gets = operationsAt(tally, pair.gets);
      const unseen = total(tally, pair.gets) > gets.length && object.created === null ? (beganWith(object) ?? 0) : 0;
      const left = unreturned(gets, operationsAt(tally, pair.puts), unseen);
      held.push({ object, pair, count, gets: left.slice(-count) });
    }
    return held;
  }

  /** Puts at call sites whose gets are too few, in order; empty unless every change of the counter was read. */
  surplus(object: KernelObject): Operation[] {
    const tally = this.#tallies.get(object);
    const { ledger } = object;
    if (!tally || !ledger || ledger.breaks.length > 0 || ledger.reads === 0 || object.losses > 0) return [];
    return this.pairs(object.class).flatMap(({ gets, puts }) => {
      const count = total(tally, puts) - total(tally, gets);
      return count > 0 ? operationsAt(tally, puts).slice(-count) : [];
    });
  }

  /** The life of a key that had gets or puts. */
  find(entry: ClassEntry, key: unknown, generation: number): KernelObject | undefined {
    for (const object of this.#tallies.keys()) {
      if (object.class === entry && object.key === key && object.generation === generation) return object;
    }
    return undefined;
  }

  /** Objects with gets or puts that are not known to be destroyed. */
  *open(): Generator<KernelObject> {
    for (const object of this.#tallies.keys()) if (object.state !== "destroyed") yield object;
  }

  /** Counts the reference that the object began with; false when it did not begin within the trace, as far as seen. */
  #countCreation(object: KernelObject, tally: Tally): boolean {
    const count = beganWith(object);
    if (count === null) return false;
    const operations = object.created === null ? [] : [object.created];
    if (count > 0) tally.set(this.#sites.creation(object.class), { count, operations });
    return true;
  }

  /** A life is over. If its references came to nothing, it teaches which sites belong together. */
  #learn(object: KernelObject): void {
    const tally = this.#tallies.get(object);
    if (!tally || !this.#countCreation(object, tally)) return;
    if (object.losses > 0 || (object.ledger?.breaks.length ?? 0) > 0) return;
    let net = 0;
    const counts = new Map<CallSite, number>();
    for (const [site, { count }] of tally) {
      if (count === 0) continue;
      counts.set(site, count);
      net += site.does === "get" ? count : -count;
    }
    if (net !== 0 || counts.size === 0) return;
    const lessons = this.#lessons.get(object.class) ?? new Map<string, Lesson>();
    this.#lessons.set(object.class, lessons);
    const key = [...counts]
      .map(([site, count]) => `${site.id}:${count}`)
      .sort()
      .join();
    if (lessons.size < MOST_LESSONS) lessons.set(key, counts);
  }
}

/** The file that holds these references, where the call sites are told to serve one kind only. */
export function fileOf({ pair }: Held): string | null {
  const closed = new Set(pair.puts.flatMap(({ files }) => files));
  const files = closed.size > 0 ? closed : new Set(pair.gets.flatMap(({ files: opened }) => opened));
  return files.size === 0 ? null : [...files].join(" or ");
}

/** References that the object began with, within the trace; null when it is older, as far as seen. */
export function beganWith(object: KernelObject): number | null {
  const { counter } = object.class;
  if (!counter) return null;
  // A tracepoint tells a module's count at any time of its life, a probe that of a new object at its beginning only.
  const isTraced = Object.keys(object.class.tracepoints).length > 0;
  const began = object.created !== null || (!isTraced && object.ledger?.first === counter.initial);
  return began ? counter.initial - counter.unused : null;
}

function total(tally: Tally, sites: readonly CallSite[]): number {
  return sites.reduce((sum, site) => sum + (tally.get(site)?.count ?? 0), 0);
}

function operationsAt(tally: Tally, sites: readonly CallSite[]): Operation[] {
  return sites.flatMap((site) => tally.get(site)?.operations ?? []).sort((a, b) => a.event.id - b.event.id);
}

/**
 * Gets that are left when each put gives back the last get of its task before it, or else one of `unseen` references
 * that it began with, or else the first one of any task.
 */
function unreturned(gets: readonly Operation[], puts: readonly Operation[], unseen: number): Operation[] {
  const open = [...gets];
  let spare = unseen;
  for (const put of puts) {
    const own = open.findLastIndex(({ event }) => event.tid === put.event.tid && event.id < put.event.id);
    if (own < 0 && spare > 0) {
      spare--;
      continue;
    }
    const index = own >= 0 ? own : open.findIndex(({ event }) => event.id < put.event.id);
    if (index >= 0) open.splice(index, 1);
  }
  return open;
}
