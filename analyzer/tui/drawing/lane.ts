/** Spans of time as bars in one row. */
import type { Line, Meaning, Span } from "./picture.js";

export interface Window {
  from: bigint;
  to: bigint;
}

export interface Bar {
  /** null: before everything; its begin was not seen. */
  from: bigint | null;
  /** null: still there at the end. */
  to: bigint | null;
  as: Meaning;
  /** How heavy the line is. */
  weight: "thin" | "thick" | "loss";
}

const BODY = { thin: "─", thick: "━", loss: "░" } as const;
const BEGIN = { thin: "├", thick: "┣", loss: "░" } as const;
const END = { thin: "┤", thick: "┫", loss: "░" } as const;
const POINT = { thin: "│", thick: "┃", loss: "░" } as const;

/** The column of a moment; outside of the picture when it lies outside of the window. */
export function columnOf(time: bigint, { from, to }: Window, columns: number): number {
  const length = to - from || 1n;
  const position = (time - from) * BigInt(columns);
  if (time < from) return -1;
  return time > to ? columns : Math.min(columns - 1, Number(position / length));
}

/** Bars over each other, the later ones in front. */
export function drawLane(bars: readonly Bar[], window: Window, columns: number): Line {
  const cells: Span[] = Array.from({ length: Math.max(0, columns) }, () => ({ text: " ", as: "text" }));
  for (const bar of bars) {
    const begin = bar.from === null ? -1 : columnOf(bar.from, window, columns);
    const end = bar.to === null ? columns : columnOf(bar.to, window, columns);
    if (end < 0 || begin >= columns) continue;
    for (let at = Math.max(0, begin); at <= Math.min(columns - 1, end); at++) {
      cells[at] = { text: BODY[bar.weight], as: bar.as };
    }
    if (begin >= 0) cells[begin] = { text: BEGIN[bar.weight], as: bar.as };
    if (end < columns) cells[end] = { text: end === begin ? POINT[bar.weight] : END[bar.weight], as: bar.as };
    else if (bar.to === null) cells[columns - 1] = { text: bar.weight === "loss" ? "░" : "▶", as: bar.as };
    if (bar.from === null && bar.weight !== "loss") cells[0] = { text: "◂", as: bar.as };
  }
  return joined(cells);
}

/** Neighbours that look the same become one span. */
export function joined(spans: readonly Span[]): Line {
  const line: Span[] = [];
  for (const part of spans) {
    const last = line.at(-1);
    if (last && last.as === part.as && last.on === part.on)
      line[line.length - 1] = { ...last, text: last.text + part.text };
    else line.push(part);
  }
  return line;
}
