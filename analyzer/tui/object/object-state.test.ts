import { expect, it } from "vitest";
import { jumpTo, nextPlace, type ObjectFacts, reduceObject, startObject } from "./object-state.js";

const FACTS: ObjectFacts = { count: 100, rows: 10, life: { from: 0n, to: 1000n }, selected: 250n };

it("zooming keeps what is selected where it is, and goes back to the whole life", () => {
  const closer = reduceObject(startObject(), "zoom-in", FACTS);
  expect(closer.window).toEqual({ from: 125n, to: 625n });
  expect(reduceObject(closer, "pan-right", FACTS).window).toEqual({ from: 250n, to: 750n });
  expect(reduceObject(closer, "pan-left", FACTS).window).toEqual({ from: 0n, to: 500n });
  expect(reduceObject(closer, "zoom-out", FACTS).window).toBeNull();
  expect(reduceObject(closer, "zoom-all", FACTS).window).toBeNull();
});

it("jumping selects an event in view; pressing again goes on, and round", () => {
  expect(jumpTo(startObject(), 50, FACTS).list).toEqual({ selected: 50, top: 41 });
  expect(nextPlace([7, 3], 3)).toBe(7);
  expect(nextPlace([7, 3], 7)).toBe(3);
  expect(nextPlace([], 7)).toBeNull();
});

it("the stack is shown and hidden, and lists move", () => {
  expect(reduceObject(startObject(), "stack", FACTS).isStackOpen).toBe(true);
  expect(reduceObject(startObject(), "last", FACTS).list.selected).toBe(99);
});
