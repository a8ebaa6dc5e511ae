/** A list of which only a window is drawn, and so only a window is read: place and selection, as pure functions. */

export interface ListState {
  selected: number;
  /** First item of the window. */
  top: number;
}

export const START: ListState = { selected: 0, top: 0 };

/** Moves of a list and by how much; pages overlap by a line. */
const MOVES: Record<string, (selected: number, count: number, rows: number) => number> = {
  up: (selected) => selected - 1,
  down: (selected) => selected + 1,
  "page-up": (selected, _count, rows) => selected - Math.max(1, rows - 1),
  "page-down": (selected, _count, rows) => selected + Math.max(1, rows - 1),
  first: () => 0,
  last: (_selected, count) => count - 1,
};

/** The list after a command; the same list when it is none of its own. */
export function moveList(list: ListState, command: string, count: number, rows: number): ListState {
  const move = MOVES[command];
  return move === undefined ? list : select(list, move(list.selected, count, rows), count, rows);
}

/** The list with an item selected and in view. */
export function select(list: ListState, item: number, count: number, rows: number): ListState {
  const selected = Math.max(0, Math.min(item, count - 1));
  const lowest = Math.max(0, selected - Math.max(1, rows) + 1);
  const top = Math.min(Math.max(list.top, lowest), selected, Math.max(0, count - rows));
  return selected === list.selected && top === list.top ? list : { selected, top };
}

/** `12/345`, or nothing for an empty list. */
export function place(list: ListState, count: number): string {
  return count === 0 ? "" : `${(list.selected + 1).toLocaleString("en")}/${count.toLocaleString("en")}`;
}
