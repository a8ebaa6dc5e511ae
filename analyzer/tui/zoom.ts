/** A window on a span of time: closer, farther, to the side. Pure functions. */
import type { Window } from "./drawing/lane.js";

/** Nothing is drawn closer than this; nanoseconds. */
const CLOSEST = 100n;

/** A span `times / per` as long around a moment, within the whole; null when that is the whole. */
export function zoomed(window: Window, around: bigint, whole: Window, times: bigint, per: bigint): Window | null {
  const length = window.to - window.from;
  const wanted = (length * times) / per;
  const next = wanted < CLOSEST ? (length < CLOSEST ? length : CLOSEST) : wanted;
  if (next >= whole.to - whole.from) return null;
  const center = around < window.from || around > window.to ? (window.from + window.to) / 2n : around;
  // What is under the selection stays where it is.
  const share = length === 0n ? 0n : ((center - window.from) * next) / length;
  return within({ from: center - share, to: center - share + next }, whole);
}

/** The span a quarter of its length further. */
export function panned(window: Window, direction: bigint, whole: Window): Window | null {
  const step = ((window.to - window.from) / 4n || 1n) * direction;
  const moved = within({ from: window.from + step, to: window.to + step }, whole);
  return moved.from <= whole.from && moved.to >= whole.to ? null : moved;
}

function within({ from, to }: Window, whole: Window): Window {
  const length = to - from;
  if (from < whole.from) return { from: whole.from, to: whole.from + length };
  if (to > whole.to) return { from: whole.to - length, to: whole.to };
  return { from, to };
}

export function earlier(a: bigint, b: bigint): bigint {
  if (a < b) return a;
  return b;
}

export function later(a: bigint, b: bigint): bigint {
  if (a > b) return a;
  return b;
}
