/** Objects of a class as lanes: which class, which of them, which span of time. Pure functions. */
import type { Window } from "../drawing/lane.js";
import { type ListState, moveList, START } from "../list.js";
import { earlier, later, panned, zoomed } from "../zoom.js";

export interface TimelineState {
  /** Index of the class. */
  chosen: number;
  list: ListState;
  /** null: from the first of the shown objects to the last. */
  window: Window | null;
}

export interface TimelineFacts {
  classes: number;
  /** Objects of the class. */
  count: number;
  rows: number;
  /** The whole recording. */
  whole: Window;
  /** What is drawn at present. */
  shown: Window;
  /** Life of the selected object. */
  selected: Window | null;
}

export function startTimeline(chosen: number): TimelineState {
  return { chosen, list: START, window: null };
}

export function reduceTimeline(state: TimelineState, command: string, facts: TimelineFacts): TimelineState {
  const { whole, shown, selected } = facts;
  const around = selected === null ? (shown.from + shown.to) / 2n : middleWithin(selected, shown);
  switch (command) {
    case "next-class":
      return facts.classes === 0 ? state : startTimeline((state.chosen + 1) % facts.classes);
    case "previous-class":
      return facts.classes === 0 ? state : startTimeline((state.chosen + facts.classes - 1) % facts.classes);
    case "zoom-in":
      return { ...state, window: zoomed(shown, around, whole, 1n, 2n) ?? whole };
    case "zoom-out":
      return { ...state, window: zoomed(shown, around, whole, 2n, 1n) ?? whole };
    case "zoom-all":
      return { ...state, window: state.window === null ? whole : null };
    case "zoom-selected":
      return selected === null ? state : { ...state, window: withMargin(selected, whole) };
    case "pan-left":
      return { ...state, window: panned(shown, -1n, whole) ?? whole };
    case "pan-right":
      return { ...state, window: panned(shown, 1n, whole) ?? whole };
    default: {
      const list = moveList(state.list, command, facts.count, facts.rows);
      return list === state.list ? state : { ...state, list };
    }
  }
}

/** The middle of the part of a life that is shown. */
function middleWithin(life: Window, shown: Window): bigint {
  return (later(life.from, shown.from) + earlier(life.to, shown.to)) / 2n;
}

/** A tenth of its length more on both sides. */
function withMargin({ from, to }: Window, whole: Window): Window {
  const margin = (to - from) / 10n + 1n;
  return { from: later(from - margin, whole.from), to: earlier(to + margin, whole.to) };
}
