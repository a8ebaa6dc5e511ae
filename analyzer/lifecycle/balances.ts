/**
 * Who holds the references of each object: every get and put by call site, and at the end the gets that no put gives
 * back. What nobody saw being taken is not in it; the counter's value tells how many those are.
 */
import type { ClassEntry } from "../../collectors/catalog/schema.js";
import type { ObjectKey, Operation } from "../decode/operation.js";
import type { CallSite, CallSites } from "./call-sites.js";
import type { KernelObject } from "./objects.js";
import { type Lesson, type Pair, pairSites } from "./pairs.js";
import type { Observer } from "./world.js";

/** What one life did at one call site. */
interface Passed {
  site: CallSite;
  count: number;
  operations: FirstAndLast;
}

/** Few sites each: looking through them is faster than any index. */
type Tally = Passed[];

/** What balanced lives of a class have in common. */
interface Lives {
  /** How often each passed each call site. */
  lesson: Map<CallSite, number>;
  count: number;
}

/** Operations that are remembered per object and call site: so many of the first and of the last ones. */
const REMEMBERED = 16;
/** Lives that are over and still remembered: their tallies, or of the usual ones what they taught. */
const MOST_KEPT = 4096;
/** Lives with the same counts, after which more of them are nothing but usual. */
const USUAL = 256;
/** Different lives that are learned from, per class. */
const MOST_LESSONS = 64;

/** A life as a finding names it. */
export interface Life {
  class: ClassEntry;
  key: ObjectKey | null;
  generation: number;
}

/** A life that was learned from. */
interface Past extends Life {
  lives: Lives;
}

/** The first operations and the last ones, without moving any as more come. */
class FirstAndLast {
  readonly #first: Operation[];
  /** From `#oldest` on, around; null until there are more than the first ones. */
  #last: Operation[] | null = null;
  #oldest = 0;

  /** Few lives pass a call site more than once: their lists have room for no more. */
  constructor(...operations: Operation[]) {
    this.#first = operations;
  }

  add(operation: Operation): void {
    if (this.#first.length < REMEMBERED) this.#first.push(operation);
    else if (this.#last === null) this.#last = [operation];
    else if (this.#last.length < REMEMBERED) this.#last.push(operation);
    else {
      this.#last[this.#oldest] = operation;
      this.#oldest = (this.#oldest + 1) % REMEMBERED;
    }
  }

  /** @returns false when it is not remembered. */
  remove(operation: Operation): boolean {
    const index = this.#first.indexOf(operation);
    if (index >= 0) {
      this.#first.splice(index, 1);
      return true;
    }
    const last = this.#inOrder();
    this.#last = last.filter((one) => one !== operation);
    this.#oldest = 0;
    return this.#last.length < last.length;
  }

  all(): Operation[] {
    return [...this.#first, ...this.#inOrder()];
  }

  #inOrder(): Operation[] {
    const last = this.#last ?? [];
    return [...last.slice(this.#oldest), ...last.slice(0, this.#oldest)];
  }
}

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
  readonly #lessons = new Map<ClassEntry, Lives[]>();
  /** Lives that are over and not usual, the oldest first. */
  readonly #kept = new Set<KernelObject>();
  /** Lives that taught something: whether they can be trusted shows when the audit is over. */
  readonly #past: Past[] = [];
  #pairs: Map<ClassEntry, Pair[]> | null = null;
  /** Lives that something was wrong with. */
  #distrusted: ReadonlySet<string> = new Set();

  constructor(sites: CallSites) {
    this.#sites = sites;
  }

  operation(operation: Operation, object: KernelObject): void {
    if (operation.outcome === "refused" || operation.delta === 0) return;
    const site = this.#sites.of(operation);
    if (!site) return;
    let tally = this.#tallies.get(object);
    if (!tally) {
      tally = [];
      this.#tallies.set(object, tally);
    }
    const passed = passedAt(tally, site);
    if (passed) {
      passed.count++;
      passed.operations.add(operation);
    } else tally.push({ site, count: 1, operations: new FirstAndLast(operation) });
  }

  updated(operation: Operation, object: KernelObject, what: "outcome" | "read"): void {
    if (what !== "outcome" || operation.outcome !== "refused") return;
    const site = this.#sites.of(operation);
    const tally = this.#tallies.get(object);
    const passed = site && tally && passedAt(tally, site);
    if (passed?.operations.remove(operation)) passed.count--;
  }

  began(_object: KernelObject, before: KernelObject | null): void {
    if (before) this.#end(before);
  }

  settled(object: KernelObject): void {
    this.#end(object);
  }

  forgotten(object: KernelObject): void {
    this.#end(object);
  }

  /** The audit is over, as far as it goes: lives that something was wrong with teach nothing. */
  finish(distrusted: readonly Life[]): void {
    this.#pairs = new Map();
    this.#distrusted = new Set(distrusted.map(nameOf));
    for (const object of this.#tallies.keys()) this.#countCreation(object);
  }

  /** A life is over: if its references came to nothing, it teaches which sites belong together. */
  #end(object: KernelObject): void {
    const tally = this.#tallies.get(object);
    if (!tally || this.#kept.has(object)) return;
    this.#countCreation(object);
    if (isBalanced(object, tally) && this.#learn(object, tally) > USUAL) {
      this.#tallies.delete(object);
      return;
    }
    this.#kept.add(object);
    if (this.#kept.size <= MOST_KEPT) return;
    const [oldest] = this.#kept as Iterable<KernelObject>;
    if (!oldest) return;
    this.#kept.delete(oldest);
    this.#tallies.delete(oldest);
  }

  /** @returns how many lives have taught the same, with this one; 0 where it is one lesson too many. */
  #learn(object: KernelObject, tally: Tally): number {
    let lessons = this.#lessons.get(object.class);
    if (!lessons) {
      lessons = [];
      this.#lessons.set(object.class, lessons);
    }
    let lives = lessons.find(({ lesson }) => isSame(lesson, tally));
    if (!lives) {
      if (lessons.length >= MOST_LESSONS) return 0;
      lives = { lesson: lessonOf(tally), count: 0 };
      lessons.push(lives);
    }
    lives.count++;
    if (this.#past.length >= 2 * MOST_KEPT) this.#past.splice(0, MOST_KEPT);
    const { class: entry, key, generation } = object;
    this.#past.push({ class: entry, key, generation, lives });
    return lives.count;
  }

  /** What the trusted lives of a class teach, those included that have come to nothing but are not over. */
  #lessonsOf(entry: ClassEntry): Lesson[] {
    const counts = new Map((this.#lessons.get(entry) ?? []).map((lives) => [lives, lives.count]));
    for (const life of this.#distrusted.size === 0 ? [] : this.#past) {
      const count = counts.get(life.lives);
      if (count !== undefined && this.#distrusted.has(nameOf(life))) counts.set(life.lives, count - 1);
    }
    const lessons = [...counts].filter(([, count]) => count > 0).map(([{ lesson }]) => lesson);
    for (const [object, tally] of this.#tallies) {
      if (object.class !== entry || this.#distrusted.has(nameOf(object)) || !isBalanced(object, tally)) continue;
      if (lessons.length < MOST_LESSONS && !lessons.some((known) => isSame(known, tally)))
        lessons.push(lessonOf(tally));
    }
    return lessons;
  }

  /** The audit was judged before its end: what is still to come teaches more. */
  goOn(): void {
    this.#pairs = null;
  }

  /** Pairs of a class's call sites, by what was seen so far. */
  pairs(entry: ClassEntry): readonly Pair[] {
    if (this.#pairs === null) this.finish([]);
    let pairs = this.#pairs?.get(entry);
    if (!pairs) {
      const sites = [...this.#sites.all()].filter((site) => site.class === entry);
      pairs = pairSites(sites, this.#lessonsOf(entry));
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
    if (!tally || !ledger || ledger.breakCount > 0 || ledger.reads === 0 || object.losses > 0) return [];
    return this.pairs(object.class).flatMap(({ gets, puts }) => {
      const count = total(tally, puts) - total(tally, gets);
      return count > 0 ? operationsAt(tally, puts).slice(-count) : [];
    });
  }

  /** A life whose gets and puts are remembered: they did not come to nothing, or it is not over. */
  find({ class: entry, key, generation }: Life): KernelObject | undefined {
    for (const object of this.#tallies.keys()) {
      if (object.class === entry && object.key === key && object.generation === generation) return object;
    }
    return undefined;
  }

  /** Objects with gets or puts that are not known to be destroyed. */
  *open(): Generator<KernelObject> {
    for (const object of this.#tallies.keys()) if (object.state !== "destroyed") yield object;
  }

  /** Counts the reference that the object began with, if it began within the trace, as far as seen. */
  #countCreation(object: KernelObject): void {
    const tally = this.#tallies.get(object);
    const count = beganWith(object);
    if (!tally || count === null || count === 0) return;
    const site = this.#sites.creation(object.class);
    if (passedAt(tally, site)) return;
    const operations = object.created === null ? new FirstAndLast() : new FirstAndLast(object.created);
    tally.push({ site, count, operations });
  }
}

/** It began within the trace, was seen without a gap, and what it took and gave back comes to nothing. */
function isBalanced(object: KernelObject, tally: Tally): boolean {
  if (object.losses > 0 || (object.ledger?.breakCount ?? 0) > 0 || beganWith(object) === null) return false;
  let net = 0;
  let passed = 0;
  for (const { site, count } of tally) {
    net += site.does === "get" ? count : -count;
    passed += count;
  }
  return net === 0 && passed > 0;
}

function passedAt(tally: Tally, site: CallSite): Passed | undefined {
  for (const passed of tally) if (passed.site === site) return passed;
  return undefined;
}

function lessonOf(tally: Tally): Map<CallSite, number> {
  return new Map(tally.flatMap(({ site, count }) => (count === 0 ? [] : [[site, count]])));
}

function isSame(lesson: Lesson, tally: Tally): boolean {
  let sites = 0;
  for (const { site, count } of tally) {
    if (count === 0) continue;
    if (lesson.get(site) !== count) return false;
    sites++;
  }
  return sites === lesson.size;
}

function nameOf({ class: entry, key, generation }: Life): string {
  return `${entry.class}/${key}/${generation}`;
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
  return sites.reduce((sum, site) => sum + (passedAt(tally, site)?.count ?? 0), 0);
}

function operationsAt(tally: Tally, sites: readonly CallSite[]): Operation[] {
  return sites.flatMap((site) => passedAt(tally, site)?.operations.all() ?? []).sort((a, b) => a.event.id - b.event.id);
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
