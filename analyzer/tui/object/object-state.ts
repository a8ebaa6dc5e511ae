/** One object on the screen: which event is selected, which span of time is drawn. Pure functions. */

import type { Window } from "../drawing/lane.js";
import { type ListState, moveList, START, select } from "../list.js";
import { panned, zoomed } from "../zoom.js";

export interface ObjectState {
  list: ListState;
  /** Where a narrow screen has no room for the stack beside the events, it is shown on demand. */
  isStackOpen: boolean;
  /** Part of the object's life that is drawn; null: all of it. */
  window: Window | null;
}

export interface ObjectFacts {
  /** Operations on the object, and how many lines there are for them. */
  count: number;
  rows: number;
  /** From the first to the last operation. */
  life: Window;
  /** Time of the selected event. */
  selected: bigint;
}

export function startObject(): ObjectState {
  return { list: START, isStackOpen: false, window: null };
}

export function reduceObject(state: ObjectState, command: string, facts: ObjectFacts): ObjectState {
  const { life, selected } = facts;
  const window = state.window ?? life;
  switch (command) {
    case "stack":
      return { ...state, isStackOpen: !state.isStackOpen };
    case "zoom-in":
      return { ...state, window: zoomed(window, selected, life, 1n, 2n) };
    case "zoom-out":
      return { ...state, window: zoomed(window, selected, life, 2n, 1n) };
    case "zoom-all":
      return { ...state, window: null };
    case "pan-left":
      return { ...state, window: panned(window, -1n, life) };
    case "pan-right":
      return { ...state, window: panned(window, 1n, life) };
    default: {
      const list = moveList(state.list, command, facts.count, facts.rows);
      return list === state.list ? state : { ...state, list };
    }
  }
}

/** The state with an event selected. */
export function jumpTo(state: ObjectState, index: number, { count, rows }: ObjectFacts): ObjectState {
  return { ...state, list: select(state.list, index, count, rows) };
}

/** The first place after the present one, or else the first of all: pressing again goes on to the next. */
export function nextPlace(places: readonly number[], present: number): number | null {
  const sorted = [...places].sort((a, b) => a - b);
  return sorted.find((place) => place > present) ?? sorted[0] ?? null;
}
