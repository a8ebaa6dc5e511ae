/**
 * Which call sites give back what which others take, learned from objects whose references came to nothing: as often as
 * a get was passed in such a life, so often was its put. Sites that nothing tells apart stay together in one pair; the
 * catalog helps by the files that both serve.
 */
import type { CallSite } from "./call-sites.js";

/** Call sites whose gets and puts cancel in every balanced life. */
export interface Pair {
  gets: readonly CallSite[];
  puts: readonly CallSite[];
  /** Balanced lives that show it, different ones by their counts; 0: only the catalog, or nothing. */
  lessons: number;
}

/** How often one balanced life passed each call site. */
export type Lesson = ReadonlyMap<CallSite, number>;

/** More sites of one side than this are not tried in every combination. */
const MOST_TRIED = 12;
/** Sites that one other site may stand for. */
const MOST_PARTNERS = 3;

/** Pairs off the call sites of one class. Every site is in one pair. */
export function pairSites(sites: readonly CallSite[], lessons: readonly Lesson[]): Pair[] {
  const gets = sites.filter(({ does }) => does === "get");
  const puts = sites.filter(({ does }) => does === "put");
  const pairs: Pair[] = [];
  const count = (site: CallSite) => lessons.map((lesson) => lesson.get(site) ?? 0);
  const take = (ours: readonly CallSite[], theirs: readonly CallSite[], learned: boolean) => {
    for (const site of ours) gets.splice(gets.indexOf(site), 1);
    for (const site of theirs) puts.splice(puts.indexOf(site), 1);
    const shown = learned ? lessons.filter((lesson) => ours.some((site) => lesson.has(site))).length : 0;
    pairs.push({ gets: ours, puts: theirs, lessons: shown });
  };

  // Equal counts in all lives. Where several are equal, the files that they serve tell them apart.
  for (const like of groupBy(gets, (site) => count(site).join())) {
    if (isZero(count(like[0] as CallSite))) continue;
    const open = [...like];
    const partners = puts.filter((site) => count(site).join() === count(like[0] as CallSite).join());
    for (const put of [...partners]) {
      const ours = open.filter((site) => serveSame(site, put));
      const rivals = partners.filter((other) => ours.some((site) => serveSame(site, other)));
      const [get] = ours;
      if (get === undefined || ours.length > 1 || rivals.length > 1) continue;
      open.splice(open.indexOf(get), 1);
      partners.splice(partners.indexOf(put), 1);
      take([get], [put], true);
    }
    if (open.length > 0 && open.length === partners.length) take(open, [...partners], true);
  }
  // One that stands for several: the unwind of an error path beside the regular put, two ioctls with one release.
  for (const put of [...puts]) {
    const found = summingUp(
      gets.filter((get) => mayServe(get, put)),
      count(put),
      count,
    );
    if (found) take(found, [put], true);
  }
  for (const get of [...gets]) {
    const found = summingUp(
      puts.filter((put) => mayServe(get, put)),
      count(get),
      count,
    );
    if (found) take([get], found, true);
  }
  // A site of no lesson goes to where its files belong.
  const isTaught = (site: CallSite) => !isZero(count(site));
  for (const [index, pair] of pairs.entries()) {
    const moreGets = gets.filter((get) => !isTaught(get) && pair.puts.some((put) => serveSame(get, put)));
    const morePuts = puts.filter((put) => !isTaught(put) && pair.gets.some((get) => serveSame(get, put)));
    for (const get of moreGets) gets.splice(gets.indexOf(get), 1);
    for (const put of morePuts) puts.splice(puts.indexOf(put), 1);
    pairs[index] = { ...pair, gets: [...pair.gets, ...moreGets], puts: [...pair.puts, ...morePuts] };
  }
  // What no life has taught: by the files of the catalog, and the rest together.
  for (const put of [...puts]) {
    if (!puts.includes(put)) continue;
    const ours = gets.filter((get) => serveSame(get, put));
    if (ours.length === 0) continue;
    take(
      ours,
      puts.filter((other) => ours.some((get) => serveSame(get, other))),
      false,
    );
  }
  // A file's reference is given back by that file's release alone, also where none was seen.
  for (const get of [...gets]) if (get.files.length > 0) take([get], [], false);
  if (gets.length + puts.length > 0) take([...gets], [...puts], false);
  return pairs;
}

/** Whether the catalog leaves it open that the put gives back what the get took. */
function mayServe(get: CallSite, put: CallSite): boolean {
  return get.files.length === 0 || put.files.length === 0 || serveSame(get, put);
}

function serveSame(get: CallSite, put: CallSite): boolean {
  return get.files.some((file) => put.files.includes(file));
}

/** A few sites whose counts come to the wanted ones in every life; null when there are none, or more than one choice. */
function summingUp(
  sites: readonly CallSite[],
  wanted: readonly number[],
  count: (site: CallSite) => number[],
): CallSite[] | null {
  const usable = sites.filter((site) => !isZero(count(site)));
  // One life alone makes equal sums by chance.
  if (usable.length > MOST_TRIED || wanted.filter((value) => value > 0).length < 2) return null;
  const found: CallSite[][] = [];
  const walk = (from: number, chosen: CallSite[], rest: readonly number[]) => {
    if (isZero(rest)) found.push(chosen);
    if (chosen.length === MOST_PARTNERS) return;
    for (let index = from; index < usable.length; index++) {
      const site = usable[index] as CallSite;
      const left = rest.map((value, lesson) => value - (count(site)[lesson] ?? 0));
      if (left.every((value) => value >= 0)) walk(index + 1, [...chosen, site], left);
    }
  };
  walk(0, [], wanted);
  return found.length === 1 ? (found[0] ?? null) : null;
}

function isZero(counts: readonly number[]): boolean {
  return counts.every((value) => value === 0);
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return [...groups.values()];
}
