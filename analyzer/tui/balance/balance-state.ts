/** The tree of call sites: pairs, the sites in them, their stacks. Pure functions. */
import type { BalancePair } from "../../store/balance.js";
import { type ListState, moveList, START, select } from "../list.js";

export interface BalanceState {
  pairs: readonly BalancePair[];
  /** Only this class; null: all. */
  class: string | null;
  /** Keys of what is unfolded. */
  unfolded: ReadonlySet<string>;
  list: ListState;
}

export type BalanceRow =
  | { kind: "pair"; key: string; pair: BalancePair }
  | { kind: "site"; key: string; pair: BalancePair; site: BalancePair["sites"][number] }
  | { kind: "frame"; key: string; depth: number; text: string; count: number | null };

export function startBalance(pairs: readonly BalancePair[]): BalanceState {
  // Where something is left, one wants to see it at once.
  const open = pairs.map((pair, index) => ({ pair, index })).filter(({ pair }) => pair.net !== 0);
  return { pairs, class: null, unfolded: new Set(open.map(({ index }) => `${index}`)), list: START };
}

export function balanceRows({ pairs, class: only, unfolded }: BalanceState): BalanceRow[] {
  const rows: BalanceRow[] = [];
  for (const [index, pair] of pairs.entries()) {
    if (only !== null && pair.class !== only) continue;
    const key = `${index}`;
    rows.push({ kind: "pair", key, pair });
    if (!unfolded.has(key)) continue;
    for (const [at, site] of pair.sites.entries()) {
      const siteKey = `${key}/${at}`;
      rows.push({ kind: "site", key: siteKey, pair, site });
      if (!unfolded.has(siteKey)) continue;
      for (const [number, { count, frames }] of site.stacks.entries()) {
        const texts = frames.length > 0 ? frames : ["no stack was recorded"];
        for (const [depth, text] of texts.entries()) {
          rows.push({
            kind: "frame",
            key: `${siteKey}/${number}/${depth}`,
            depth,
            text,
            count: depth === 0 ? count : null,
          });
        }
      }
    }
  }
  return rows;
}

export function classesOf(pairs: readonly BalancePair[]): string[] {
  return [...new Set(pairs.map((pair) => pair.class))];
}

export function reduceBalance(state: BalanceState, command: string, rows: number): BalanceState {
  const lines = balanceRows(state);
  const row = lines[state.list.selected];
  const classes = [null, ...classesOf(state.pairs)];
  const turn = (by: number) => {
    const next = classes[(classes.indexOf(state.class) + by + classes.length) % classes.length] ?? null;
    return { ...state, class: next, list: START };
  };
  switch (command) {
    case "next-class":
      return turn(1);
    case "previous-class":
      return turn(-1);
    case "unfold":
      return row === undefined || row.kind === "frame"
        ? state
        : { ...state, unfolded: new Set([...state.unfolded, row.key]) };
    case "fold": {
      if (!row) return state;
      // What is folded already folds what it is in.
      const key = state.unfolded.has(row.key)
        ? row.key
        : row.key
            .split("/")
            .slice(0, row.kind === "frame" ? 2 : 1)
            .join("/");
      const unfolded = new Set([...state.unfolded].filter((open) => open !== key && !open.startsWith(`${key}/`)));
      const next = { ...state, unfolded };
      const left = balanceRows(next);
      const at = left.findIndex((other) => other.key === key);
      return { ...next, list: select(state.list, Math.max(0, at), left.length, rows) };
    }
    case "unfold-all": {
      const keys = state.pairs.flatMap(({ sites }, index) => [`${index}`, ...sites.map((_, at) => `${index}/${at}`)]);
      return { ...state, unfolded: new Set(keys) };
    }
    case "fold-all":
      return { ...state, unfolded: new Set(), list: START };
    default: {
      const list = moveList(state.list, command, lines.length, rows);
      return list === state.list ? state : { ...state, list };
    }
  }
}
