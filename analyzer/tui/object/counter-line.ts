/**
 * A counter over time as a step line: from operations to columns, from columns to a picture. What was not seen is
 * drawn as not seen: losses as gaps, a value that the operations before do not explain as a break.
 */
import { joined, type Window } from "../drawing/lane.js";
import { type Line, type Meaning, type Span, span } from "../drawing/picture.js";

/** One operation as far as the line needs it. */
export interface CounterStep {
  time_ns: bigint;
  delta: number;
  /** Value before the operation, where it was read. */
  refs: number | null;
}

export interface Loss {
  /** null: since before the recording, until after it. */
  from_ns: bigint | null;
  to_ns: bigint | null;
}

/** A value at one moment, after what happened then. */
export interface CounterPoint {
  time_ns: bigint;
  /** null: not known. */
  value: number | null;
  /** The value read is not the one that the operations before lead to. */
  isBreak: boolean;
}

/** What the counter was after each step. The value before the first one that was read is not known. */
export function counterPoints(steps: readonly CounterStep[]): CounterPoint[] {
  let value: number | null = null;
  return steps.map(({ time_ns, delta, refs }) => {
    const isBreak = refs !== null && value !== null && refs !== value;
    const before = refs ?? value;
    value = before === null ? null : before + delta;
    return { time_ns, value, isBreak };
  });
}

/** Without any value read, what the operations seen come to. */
export function netPoints(steps: readonly CounterStep[]): CounterPoint[] {
  let value = 0;
  return steps.map(({ time_ns, delta }) => {
    value += delta;
    return { time_ns, value, isBreak: false };
  });
}

/** A column of the picture: a span of time. */
interface Column {
  /** The first value that was read, before it was: what the counter probably was. */
  assumed: number | null;
  /** Value at its begin and end, and the span between; null: not known. */
  enter: number | null;
  leave: number | null;
  low: number | null;
  high: number | null;
  isBreak: boolean;
  isLost: boolean;
  isSelected: boolean;
  isNoted: boolean;
}

export interface CounterPicture {
  points: readonly CounterPoint[];
  losses: readonly Loss[];
  window: Window;
  /** The value that was read first; null when none was. */
  before: number | null;
  /** Time of the selected event, and of events that a finding rests on. */
  selected: bigint | null;
  noted: readonly bigint[];
}

/** The line in so many columns and rows, with the axis on the left and the marks below. */
export function drawCounter(picture: CounterPicture, columns: number, rows: number): Line[] {
  const values = picture.points.flatMap(({ value }) => (value === null ? [] : [value]));
  const least = values.reduce((low, value) => Math.min(low, value), 0);
  const high = values.reduce((most, value) => Math.max(most, value), least + 1);
  const axis = Math.max(String(high).length, String(least).length);
  const width = Math.max(1, columns - axis - 2);
  const height = Math.max(2, rows - 1);
  const cells = columnsOf(picture, width);
  const rowOf = (value: number) => height - 1 - Math.round(((value - least) / (high - least)) * (height - 1));
  const grid = cells.map((column) => drawColumn(column, rowOf, height));
  const labels = new Map<number, number>();
  for (const value of labelled(least, high, height)) labels.set(rowOf(value), value);
  return [
    ...Array.from({ length: height }, (_, row): Line => {
      const label = labels.get(row);
      return joined([
        span((label === undefined ? "" : String(label)).padStart(axis), "faint"),
        span(label === undefined ? "│" : "┤", "border"),
        ...grid.map((column) => column[row] as Span),
      ]);
    }),
    joined([span(`${" ".repeat(axis)}└`, "border"), ...cells.map(markOf)]),
  ];
}

/** Values at the axis: all of them where each has a row, else the ends and one between. */
function labelled(low: number, high: number, height: number): number[] {
  if (high - low < height) return Array.from({ length: high - low + 1 }, (_, index) => low + index);
  return height < 5 ? [low, high] : [low, Math.round((low + high) / 2), high];
}

function columnsOf({ points, losses, window, selected, noted, before }: CounterPicture, width: number): Column[] {
  const span = window.to - window.from || 1n;
  const columnAt = (time: bigint) =>
    Math.max(0, Math.min(width - 1, Number(((time - window.from) * BigInt(width)) / span)));
  const columns: Column[] = Array.from({ length: width }, () => ({
    assumed: null,
    enter: null,
    leave: null,
    low: null,
    high: null,
    isBreak: false,
    isLost: false,
    isSelected: false,
    isNoted: false,
  }));
  let value: number | null = null;
  let next = 0;
  for (const { from_ns, to_ns } of losses) {
    const from = from_ns ?? window.from;
    const to = to_ns ?? window.to;
    if (to < window.from || from > window.to) continue;
    for (let at = columnAt(from); at <= columnAt(to); at++) (columns[at] as Column).isLost = true;
  }
  for (const point of points) {
    if (point.time_ns <= window.from) value = point.value;
    else break;
  }
  next = points.findIndex(({ time_ns }) => time_ns > window.from);
  if (next < 0) next = points.length;
  for (const [index, column] of columns.entries()) {
    column.enter = value;
    column.low = value;
    column.high = value;
    for (; next < points.length; next++) {
      const point = points[next] as CounterPoint;
      if (columnAt(point.time_ns) > index && index < width - 1) break;
      if (point.time_ns > window.to) break;
      value = point.value;
      if (point.isBreak) column.isBreak = true;
      if (value === null) continue;
      column.low = column.low === null ? value : Math.min(column.low, value);
      column.high = column.high === null ? value : Math.max(column.high, value);
    }
    column.leave = value;
  }
  for (const column of columns) {
    if (column.leave !== null) break;
    column.assumed = before;
  }
  const mark = (time: bigint, set: (column: Column) => void) => {
    if (time >= window.from && time <= window.to) set(columns[columnAt(time)] as Column);
  };
  for (const time of noted) mark(time, (column) => (column.isNoted = true));
  if (selected !== null) mark(selected, (column) => (column.isSelected = true));
  return columns;
}

function drawColumn(column: Column, rowOf: (value: number) => number, height: number): Span[] {
  const { enter, leave, low, high, isBreak, isLost } = column;
  const empty: Span = isLost
    ? { text: "░", as: "lost" }
    : column.isSelected
      ? { text: "┊", as: "accent" }
      : { text: " ", as: "text" };
  const cells: Span[] = Array(height).fill(empty);
  const as: Meaning = isBreak ? "warning" : "accent";
  const put = (row: number, text: string) => {
    cells[row] = { text, as };
  };
  if (low === null || high === null) {
    if (column.assumed !== null && !isLost) cells[rowOf(column.assumed)] = { text: "┄", as: "faint" };
    return cells;
  }
  // A loss hides what the counter did; the line goes on behind it.
  if (isLost && enter === leave && low === high) return cells;
  const top = rowOf(high);
  const bottom = rowOf(low);
  if (top === bottom) {
    if (enter !== null || leave !== null) put(top, enter === null ? "╺" : leave === null ? "╸" : "━");
    return cells;
  }
  for (let row = top; row <= bottom; row++) put(row, isBreak ? "╏" : "┃");
  const from = enter === null ? null : rowOf(enter);
  const to = leave === null ? null : rowOf(leave);
  for (const row of [top, bottom]) put(row, row === top ? "╻" : "╹");
  if (from !== null) put(from, corner(from, top, bottom, "left", from === to));
  if (to !== null && to !== from) put(to, corner(to, top, bottom, "right", false));
  return cells;
}

/** Where the line comes in or goes out of a column that it crosses. */
function corner(row: number, top: number, bottom: number, side: "left" | "right", isBoth: boolean): string {
  if (isBoth) return row === top ? "┳" : row === bottom ? "┻" : "╋";
  if (row === top) return side === "left" ? "┓" : "┏";
  if (row === bottom) return side === "left" ? "┛" : "┗";
  return side === "left" ? "┫" : "┣";
}

function markOf(column: Column): Span {
  if (column.isSelected) return { text: "▲", as: "accent" };
  if (column.isNoted) return { text: "●", as: "error" };
  if (column.isBreak) return { text: "?", as: "warning" };
  return { text: "─", as: "border" };
}
