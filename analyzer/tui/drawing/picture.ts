/**
 * Pictures as data: lines of spans whose colours are named by meaning. Screens make them, only the terminal paints
 * them; so a test reads a screen as plain text.
 */
import { cut, shown, widthOf } from "./width.js";

/** What a piece of text means; the theme says how that looks. */
export type Meaning =
  | "text"
  | "strong"
  | "faint"
  | "label"
  | "accent"
  | "error"
  | "warning"
  | "note"
  | "good"
  | "get"
  | "put"
  | "lost"
  | "border"
  | "focus"
  | "key"
  | "match";

/** What a piece of text stands on. */
export type Ground = "selected" | "bar";

export interface Span {
  readonly text: string;
  readonly as: Meaning;
  readonly on?: Ground;
}

export type Line = readonly Span[];

export interface Size {
  columns: number;
  rows: number;
}

/** A span of text that may come from a trace: whatever a terminal would act on is made visible. */
export function span(text: string, as: Meaning = "text"): Span {
  return { text: shown(text), as };
}

/** A line of spans and plain texts. */
export function line(...parts: (Span | string)[]): Line {
  return parts.map((part) => (typeof part === "string" ? span(part) : part));
}

export function onGround(ground: Ground, spans: Line): Line {
  return spans.map((part) => ({ ...part, on: ground }));
}

export function lineWidth(spans: Line): number {
  return spans.reduce((sum, { text }) => sum + widthOf(text), 0);
}

/** The line in exactly so many columns: cut with `…`, or filled up. */
export function inColumns(spans: Line, columns: number): Line {
  const width = lineWidth(spans);
  if (width === columns) return spans;
  const ground = spans.at(-1)?.on;
  const filler = (text: string): Span => ({ text, as: "text", ...(ground ? { on: ground } : {}) });
  if (width < columns) return [...spans, filler(" ".repeat(columns - width))];
  if (columns <= 0) return [];
  const kept: Span[] = [];
  let left = columns - 1;
  for (const part of spans) {
    const text = cut(part.text, left);
    if (text !== "") kept.push({ ...part, text });
    left -= widthOf(text);
    if (text.length < part.text.length) {
      kept.push({ ...part, text: "…" });
      break;
    }
  }
  return left > 0 ? [...kept, filler(" ".repeat(left))] : kept;
}

/** Text on the left, text on the right, in exactly so many columns; the left one yields. */
export function spread(left: Line, right: Line, columns: number): Line {
  const room = columns - lineWidth(right);
  return room < 1 ? inColumns(left, columns) : [...inColumns(left, room), ...right];
}

/** Blocks side by side, each in its own width; shorter ones are filled up. */
export function beside(...blocks: { lines: readonly Line[]; columns: number }[]): Line[] {
  const rows = Math.max(...blocks.map(({ lines }) => lines.length));
  return Array.from({ length: rows }, (_, row) =>
    blocks.flatMap(({ lines, columns }) => inColumns(lines[row] ?? [], columns)),
  );
}

/** Exactly so many rows: cut, or filled with empty ones. */
export function inRows(lines: readonly Line[], rows: number): Line[] {
  return Array.from({ length: Math.max(0, rows) }, (_, row) => lines[row] ?? []);
}

export interface Frame {
  title: Line;
  /** At the right end of the upper edge; left out where it does not fit. */
  note?: Line;
  isFocused?: boolean;
}

/** Lines in a box of exactly this size. */
export function framed({ title, note, isFocused }: Frame, lines: readonly Line[], size: Size): Line[] {
  const edge = (text: string): Span => ({ text, as: isFocused === true ? "focus" : "border" });
  const inner = Math.max(0, size.columns - 2);
  const right = note && lineWidth(note) > 0 ? [edge("─ "), ...note, edge(" ─")] : [];
  const hasNote = lineWidth(title) + lineWidth(right) + 6 <= inner;
  const room = inner - (hasNote ? lineWidth(right) : 0);
  const head = [edge("─ "), ...title, edge(" ")];
  const top = lineWidth(head) > room ? inColumns(head, room) : [...head, edge("─".repeat(room - lineWidth(head)))];
  return [
    [edge("╭"), ...top, ...(hasNote ? right : []), edge("╮")],
    ...inRows(lines, size.rows - 2).map((content) => [edge("│"), ...inColumns(content, inner), edge("│")]),
    [edge(`╰${"─".repeat(inner)}╯`)],
  ];
}

/** What one reads: for tests, the clipboard and the pager. */
export function plain(lines: readonly Line[]): string {
  return lines
    .map((spans) =>
      spans
        .map(({ text }) => text)
        .join("")
        .trimEnd(),
    )
    .join("\n");
}

/** Text in lines of at most so many columns, broken at spaces; a longer word is cut when it is drawn. */
export function wrapped(text: string, columns: number, as: Meaning = "text"): Line[] {
  const lines: string[] = [];
  let current = "";
  for (const word of shown(text).split(" ")) {
    if (current !== "" && widthOf(current) + 1 + widthOf(word) > columns) {
      lines.push(current);
      current = word;
    } else {
      current = current === "" ? word : `${current} ${word}`;
    }
  }
  lines.push(current);
  return lines.map((content) => [{ text: content, as }]);
}

/** A label, then text that wraps beside it. */
export function labelled(label: string, width: number, text: string, columns: number, as: Meaning = "text"): Line[] {
  return wrapped(text, Math.max(10, columns - width), as).map((spans, row) => [
    span((row === 0 ? label : "").padEnd(width), "label"),
    ...spans,
  ]);
}
