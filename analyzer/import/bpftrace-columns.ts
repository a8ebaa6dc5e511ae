/** Which column of a program's lines is what: by its headings, or by what the first lines have in them. */
import {
  type LineParts,
  looksLikeName,
  type Role,
  readSpec,
  roleOf,
  toNanoseconds,
  type Word,
} from "./bpftrace-line.js";

/** Roles of the words before the function's name, from the left. */
export interface Columns {
  /** Up to the task's name, which may be several words. */
  before: readonly Role[];
  /** From the task's name to the function, from the right. */
  after: readonly Role[];
}

/** Bigger numbers are no CPU. */
const MOST_CPUS = 8192;
/** A pid that a program prints may be small, a CPU is. */
const SMALL = 64;
/** Nanoseconds since boot have more digits than any other number that programs print. */
const LEAST_TIME = 100_000_000;

/** A line of headings: `TIME(ns) CPU COMM TID FUNC`; null when it is none. */
export function readHeadings(words: readonly Word[]): Columns | null {
  const roles = words.map(({ text }) => roleOf(text) ?? "other");
  const known = roles.filter((role) => role !== "other");
  if (known.length < 2 || new Set(known).size !== known.length || known.length * 2 < roles.length) return null;
  const end = roles.indexOf("function");
  return split(end < 0 ? roles : roles.slice(0, end));
}

/** @param lines the first ones, those with a name in them */
export function guessColumns(lines: readonly LineParts[]): Columns {
  // Other programs write to the same terminal: what names its probe by type or key is the program's for sure.
  const sure = lines.flatMap(({ words, roles }) => {
    if (roles.function !== undefined) return [words];
    const at = words.findIndex(({ text }) => readSpec(text) !== null);
    return at < 0 ? [] : [words.slice(0, at)];
  });
  const likely = lines.flatMap(({ words }) => {
    const at = words.findIndex(({ text }) => looksLikeName(text));
    return at < 1 ? [] : [words.slice(0, at)];
  });
  const heads = sure.length > 0 ? sure : likely;
  const lengths = heads.map((head) => head.length);
  const usual = mostFrequent(lengths);
  const rows = heads.filter((head) => head.length === usual);
  const roles: Role[] = Array.from({ length: usual }, (_, column) => kindOf(rows.map((row) => row[column]!)));
  nameNumbers(roles, rows);
  return split(roles);
}

/** Numbers are `other` until they are told apart. */
function kindOf(words: readonly Word[]): Role {
  if (words.every(({ text }) => /^\d+$/.test(text))) return "other";
  if (words.every(({ text }) => toNanoseconds(text) !== null)) return "time";
  return words.every(({ task }) => task !== null) ? "task" : "comm";
}

function nameNumbers(roles: Role[], rows: readonly (readonly Word[])[]): void {
  const columns = roles.flatMap((role, column) => {
    if (role !== "other") return [];
    // Rounding does no harm to what is only compared with limits.
    return [{ column, most: Math.max(...rows.map((row) => Number(row[column]!.text))) }];
  });
  const time = columns.find(({ most }) => most >= LEAST_TIME);
  if (time && !roles.includes("time")) roles[time.column] = "time";
  const small = columns.filter(({ most, column }) => most < LEAST_TIME && roles[column] === "other");
  const least = small.reduce<(typeof small)[number] | null>((a, b) => (a === null || b.most < a.most ? b : a), null);
  const hasTask = roles.includes("task");
  if (least && least.most < MOST_CPUS && (small.length > 1 || hasTask || least.most < SMALL)) {
    roles[least.column] = "cpu";
  }
  // Of several the last is the thread: people print pid, then tid.
  const thread = small.filter(({ column }) => roles[column] === "other").at(-1);
  if (thread) roles[thread.column] = "tid";
}

/** A second word that is no number can only be a part of the name. */
function split(roles: readonly Role[]): Columns {
  const name = roles.indexOf("comm");
  if (name < 0) return { before: roles, after: [] };
  return { before: roles.slice(0, name), after: roles.slice(name + 1).filter((role) => role !== "comm") };
}

function mostFrequent(numbers: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const number of numbers) counts.set(number, (counts.get(number) ?? 0) + 1);
  return [...counts].reduce((best, entry) => (entry[1] > best[1] ? entry : best), [0, 0])[0];
}

/** Adds what the words before the function's name say to what the keys say. */
export function readColumns(words: readonly Word[], { before, after }: Columns, roles: LineParts["roles"]): void {
  const take = (role: Role | undefined, word: Word | undefined) => {
    if (role === undefined || word === undefined) return;
    if (role === "task" && word.task !== null) {
      roles.comm ??= word.task.comm;
      roles.tid ??= String(word.task.tid);
    } else roles[role] ??= word.text;
  };
  before.forEach((role, index) => {
    take(role, words[index]);
  });
  const end = words.length - after.length;
  if (end < before.length) return;
  after.forEach((role, index) => {
    take(role, words[end + index]);
  });
  const name = words.slice(before.length, end).map(({ text }) => text);
  if (name.length > 0) roles.comm ??= name.join(" ");
}
