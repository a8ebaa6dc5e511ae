/** The upper edge: the screens by their numbers, and what is looked at. */
import { inColumns, type Line, line, lineWidth, onGround, span, spread } from "../drawing/picture.js";
import { Row } from "./row.js";

const NAME = " ktally ";
/** A space, the number, a space. */
const TAB_KEY = 3;

export interface BarProps {
  titles: readonly string[];
  /** The one in front. */
  tab: number;
  subject: string;
  columns: number;
}

export function Bar({ titles, tab, subject, columns }: BarProps) {
  const tabs = titles.flatMap((title, index) => {
    const isFront = index === tab;
    return line(span(` ${index + 1}`, isFront ? "key" : "faint"), span(` ${title}`, isFront ? "strong" : "text"));
  });
  const left: Line = [span(leadFor(titles, columns), "accent"), ...tabs];
  const right = line(span(` ${subject} `, "faint"));
  const isRoomy = lineWidth(left) + lineWidth(right) <= columns;
  return <Row line={onGround("bar", isRoomy ? spread(left, right, columns) : inColumns(left, columns))} />;
}

/** The screen whose name stands in a column; null where there is none. */
export function tabAt(titles: readonly string[], column: number, columns: number): number | null {
  const begin = leadFor(titles, columns).length;
  let end = begin;
  for (const [index, title] of titles.entries()) {
    end += title.length + TAB_KEY;
    if (column >= begin && column < end) return index;
  }
  return null;
}

/** Our name, where there is room for it beside the tabs. */
function leadFor(titles: readonly string[], columns: number): string {
  const tabs = titles.reduce((sum, title) => sum + title.length + TAB_KEY, 0);
  return NAME.length + tabs <= columns ? NAME : "";
}
