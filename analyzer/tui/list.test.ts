import fc from "fast-check";
import { expect, it } from "vitest";
import { moveList, place, START, select } from "./list.js";

it("commands move the selection and never leave the list", () => {
  expect(moveList(START, "up", 10, 4)).toBe(START);
  expect(moveList(START, "down", 10, 4)).toEqual({ selected: 1, top: 0 });
  expect(moveList(START, "page-down", 10, 4)).toEqual({ selected: 3, top: 0 });
  expect(moveList(START, "last", 10, 4)).toEqual({ selected: 9, top: 6 });
  expect(moveList(START, "last", 0, 4)).toBe(START);
  expect(moveList(START, "sort", 10, 4)).toBe(START);
});

it("what is selected is always in view, and the window is never emptier than it must be", () => {
  const commands = fc.constantFrom("up", "down", "page-up", "page-down", "first", "last");
  fc.assert(
    fc.property(
      fc.array(commands),
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 1, max: 20 }),
      (moves, count, rows) => {
        let list = START;
        for (const move of moves) list = moveList(list, move, count, rows);
        expect(list.selected).toBeGreaterThanOrEqual(list.top);
        expect(list.selected).toBeLessThan(list.top + rows);
        expect(list.top).toBeLessThanOrEqual(Math.max(0, count - rows));
      },
    ),
  );
});

it("a list that became shorter selects its last item", () => {
  expect(select({ selected: 9, top: 6 }, 9, 3, 4)).toEqual({ selected: 2, top: 0 });
  expect(place({ selected: 2, top: 0 }, 3)).toBe("3/3");
});
