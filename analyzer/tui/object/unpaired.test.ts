import { expect, it } from "vitest";
import { unpairedGets } from "./unpaired.js";

const get = (tid: number, delta = 1) => ({ tid, delta, outcome: "done" });
const put = (tid: number) => get(tid, -1);

it("a put gives back the last get of its task, or else the oldest of all", () => {
  expect(unpairedGets([get(1), get(2), put(2)])).toEqual([0]);
  expect(unpairedGets([get(1), get(2), put(3)])).toEqual([1]);
  expect(unpairedGets([get(1), put(1), put(1), get(1)])).toEqual([3]);
});

it("what was refused took nothing, and two references are two", () => {
  expect(unpairedGets([{ ...get(1), outcome: "refused" }, get(1, 2), put(1)])).toEqual([1]);
});
