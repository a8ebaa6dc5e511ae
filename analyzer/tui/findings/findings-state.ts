/** The list of findings: what is in it, in which order, what is folded. Pure functions. */
import type { ListedFinding } from "../../store/browse/findings.js";
import { type ListState, moveList, START, select } from "../list.js";

export const SORTS = ["gravity", "rule", "class", "object", "culprit", "count", "time"] as const;
export type Sort = (typeof SORTS)[number];

export interface FindingsState {
  heads: readonly ListedFinding[];
  sort: Sort;
  reversed: boolean;
  /** Words that a line must have. */
  filter: string;
  /** Findings of one cause in one line, that unfolds. */
  grouped: boolean;
  /** Ids of roots that are unfolded. */
  unfolded: ReadonlySet<number>;
  list: ListState;
  /** First line of the story that is shown. */
  storyTop: number;
}

/** A line of the list. */
export interface FindingRow {
  head: ListedFinding;
  /** `cause`: stands for all findings of one bug; `same`: another object that it hit; `consequence`: what followed. */
  role: "cause" | "same" | "consequence";
  /** Findings that the line stands for. */
  count: number;
  hasMore: boolean;
}

export function startFindings(heads: readonly ListedFinding[]): FindingsState {
  return {
    heads,
    sort: "gravity",
    reversed: false,
    filter: "",
    grouped: true,
    unfolded: new Set(),
    list: START,
    storyTop: 0,
  };
}

/** The state after a command of the key table; `rows` is the height of the list. */
export function reduceFindings(state: FindingsState, command: string, rows: number): FindingsState {
  const lines = rowsOf(state);
  const row = lines[state.list.selected];
  switch (command) {
    case "story-down":
      return { ...state, storyTop: state.storyTop + 1 };
    case "story-up":
      return { ...state, storyTop: Math.max(0, state.storyTop - 1) };
    case "sort":
      return keepSelection(state, { ...state, sort: after(SORTS, state.sort), reversed: false }, rows);
    case "reverse":
      return keepSelection(state, { ...state, reversed: !state.reversed }, rows);
    case "group":
      return keepSelection(state, { ...state, grouped: !state.grouped }, rows);
    case "back":
      return withFilter(state, "", rows);
    case "unfold":
      return row?.hasMore === true ? fold(state, row.head.id, false) : state;
    case "fold": {
      if (row === undefined || !state.grouped) return state;
      const cause = lines.slice(0, state.list.selected + 1).findLastIndex(({ role }) => role === "cause");
      const head = lines[cause]?.head ?? row.head;
      const folded = fold(state, head.id, true);
      return { ...folded, list: select(state.list, cause, rowsOf(folded).length, rows), storyTop: 0 };
    }
    default: {
      const list = moveList(state.list, command, lines.length, rows);
      return list === state.list ? state : { ...state, list, storyTop: 0 };
    }
  }
}

export function withFilter(state: FindingsState, filter: string, rows: number): FindingsState {
  return keepSelection(state, { ...state, filter }, rows);
}

/** New findings came in (live), or others went. */
export function withHeads(state: FindingsState, heads: readonly ListedFinding[], rows: number): FindingsState {
  const next = keepSelection(state, { ...state, heads }, rows);
  return { ...next, storyTop: state.storyTop };
}

const known = new WeakMap<readonly ListedFinding[], { for: string; rows: FindingRow[] }>();

/** The lines as they are shown. */
export function rowsOf(state: FindingsState): readonly FindingRow[] {
  const { heads, sort, reversed, filter, grouped, unfolded } = state;
  const asked = JSON.stringify([sort, reversed, filter, grouped, [...unfolded]]);
  const last = known.get(heads);
  if (last?.for === asked) return last.rows;
  const rows = grouped ? groupedRows(state) : flatRows(state);
  known.set(heads, { for: asked, rows });
  return rows;
}

function flatRows(state: FindingsState): FindingRow[] {
  const rows = state.heads
    .filter((head) => matches(head, state.filter))
    .map(
      (head): FindingRow => ({
        head,
        role: head.consequence_of === null ? "cause" : "consequence",
        count: 1,
        hasMore: false,
      }),
    );
  return sorted(rows, state);
}

function groupedRows(state: FindingsState): FindingRow[] {
  const consequences = groupBy(
    state.heads.filter((head) => head.consequence_of !== null),
    (head) => String(head.consequence_of),
  );
  const groups = groupBy(
    state.heads.filter((head) => head.consequence_of === null),
    (head) => `${head.fingerprint} ${head.verdict} ${head.level}`,
  );
  const blocks = new Map<FindingRow, FindingRow[]>();
  for (const group of groups.values()) {
    const followed = group.flatMap((head) => consequences.get(String(head.id)) ?? []);
    const [first, ...others] = group;
    if (!first || ![...group, ...followed].some((head) => matches(head, state.filter))) continue;
    const more: FindingRow[] = [
      ...others.map((head): FindingRow => ({ head, role: "same", count: 1, hasMore: false })),
      ...followed.map((head): FindingRow => ({ head, role: "consequence", count: 1, hasMore: false })),
    ];
    blocks.set({ head: first, role: "cause", count: group.length, hasMore: more.length > 0 }, more);
  }
  return sorted([...blocks.keys()], state).flatMap((cause) => [
    cause,
    ...(state.unfolded.has(cause.head.id) ? (blocks.get(cause) ?? []) : []),
  ]);
}

function matches(head: ListedFinding, filter: string): boolean {
  const address = head.address === null ? "" : `0x${head.address.toString(16)}`;
  const text =
    `${head.verdict} ${head.level} ${head.rule} ${head.variant} ${head.class} ${head.label} ${address} ${head.culprit} ${head.title}`.toLowerCase();
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

const VERDICTS = ["proven", "derived", "suspected"];

/** Proven and derived errors first, notes last. */
function gravity({ level, verdict }: ListedFinding): number {
  return (level === "error" ? 0 : 10) + VERDICTS.indexOf(verdict);
}

function sorted(rows: FindingRow[], { sort, reversed }: FindingsState): FindingRow[] {
  const by: Record<Sort, (a: FindingRow, b: FindingRow) => number> = {
    gravity: (a, b) => gravity(a.head) - gravity(b.head),
    rule: (a, b) => compare(a.head.rule, b.head.rule),
    class: (a, b) => compare(a.head.class, b.head.class),
    object: (a, b) => compare(a.head.label, b.head.label),
    culprit: (a, b) => compare(a.head.culprit, b.head.culprit),
    count: (a, b) => b.count - a.count,
    time: (a, b) => compare(a.head.time_ns ?? 0n, b.head.time_ns ?? 0n),
  };
  const sign = reversed ? -1 : 1;
  return rows.sort((a, b) => sign * (by[sort](a, b) || a.head.id - b.head.id));
}

function compare<T extends string | bigint>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return groups;
}

function fold(state: FindingsState, id: number, isFolded: boolean): FindingsState {
  const unfolded = new Set(state.unfolded);
  if (isFolded) unfolded.delete(id);
  else unfolded.add(id);
  return { ...state, unfolded };
}

/** The finding that was selected stays selected where it still is in the list. */
function keepSelection(before: FindingsState, now: FindingsState, rows: number): FindingsState {
  const id = rowsOf(before)[before.list.selected]?.head.id;
  const lines = rowsOf(now);
  const at = lines.findIndex(({ head }) => head.id === id);
  return { ...now, list: select(now.list, Math.max(at, 0), lines.length, rows), storyTop: 0 };
}

function after<T>(values: readonly T[], value: T): T {
  return values[(values.indexOf(value) + 1) % values.length] as T;
}
