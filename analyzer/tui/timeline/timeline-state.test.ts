import { expect, it } from "vitest";
import { reduceTimeline, startTimeline, type TimelineFacts } from "./timeline-state.js";

const FACTS: TimelineFacts = {
  classes: 3,
  count: 50,
  rows: 10,
  whole: { from: 0n, to: 10_000n },
  shown: { from: 0n, to: 10_000n },
  selected: { from: 4000n, to: 6000n },
};

it("classes go round, each from its first object", () => {
  const state = reduceTimeline(startTimeline(2), "next-class", FACTS);
  expect(state).toEqual(startTimeline(0));
  expect(reduceTimeline(state, "previous-class", FACTS).chosen).toBe(2);
});

it("zooming goes to what is selected", () => {
  expect(reduceTimeline(startTimeline(0), "zoom-in", FACTS).window).toEqual({ from: 2500n, to: 7500n });
  expect(reduceTimeline(startTimeline(0), "zoom-selected", FACTS).window).toEqual({ from: 3799n, to: 6201n });
});

it("the whole recording, or just the lives in view", () => {
  const all = reduceTimeline(startTimeline(0), "zoom-all", FACTS);
  expect(all.window).toEqual(FACTS.whole);
  expect(reduceTimeline(all, "zoom-all", FACTS).window).toBeNull();
});

it("without a class nothing happens", () => {
  const none = { ...FACTS, classes: 0, count: 0, selected: null };
  expect(reduceTimeline(startTimeline(0), "next-class", none)).toEqual(startTimeline(0));
});
