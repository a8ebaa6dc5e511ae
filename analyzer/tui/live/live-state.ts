/** What one watches of a recording that goes on: the present, or a moment before it. Pure functions. */
import { type ListState, moveList, START } from "../list.js";

export interface LiveState {
  list: ListState;
  /** The moment that is looked at, once the picture is held; null: the present. */
  at: bigint | null;
}

export interface LiveFacts {
  count: number;
  rows: number;
  /** From the first event to the last one so far. */
  from: bigint;
  to: bigint;
  /** How much time one step back or forth is. */
  step: bigint;
}

export function startLive(): LiveState {
  return { list: START, at: null };
}

export function reduceLive(state: LiveState, command: string, { count, rows, from, to, step }: LiveFacts): LiveState {
  const at = state.at ?? to;
  switch (command) {
    case "pause":
      return { ...state, at: state.at === null ? to : null };
    case "pan-left":
      return { ...state, at: at - step < from ? from : at - step };
    case "pan-right":
      return { ...state, at: at + step > to ? to : at + step };
    default: {
      const list = moveList(state.list, command, count, rows);
      return list === state.list ? state : { ...state, list };
    }
  }
}

const BARS = " ▁▂▃▄▅▆▇█";

/** Numbers as bars of one row; the highest is full. */
export function sparkline(values: readonly number[]): string {
  const most = Math.max(1, ...values);
  return values.map((value) => BARS[value === 0 ? 0 : Math.max(1, Math.ceil((value / most) * 8))]).join("");
}

/** Findings by what they are about: numbers change with every snapshot. */
export function findingKey(head: {
  rule: string;
  class: string;
  label: string;
  generation: number;
  key: string | null;
}): string {
  return `${head.rule}/${head.class}/${head.label}/${head.key}/${head.generation}`;
}
