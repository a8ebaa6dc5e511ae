import fc from "fast-check";
import { expect, it } from "vitest";
import { panned, zoomed } from "./zoom.js";

const WHOLE = { from: 1000n, to: 2_000_000n };
const times = fc.bigInt({ min: WHOLE.from, max: WHOLE.to });
const windows = fc
  .tuple(times, times)
  .filter(([a, b]) => a !== b)
  .map(([a, b]) => (a < b ? { from: a, to: b } : { from: b, to: a }));

it("a window stays within the whole", () => {
  fc.assert(
    fc.property(windows, times, fc.boolean(), (window, around, isIn) => {
      const next = isIn ? zoomed(window, around, WHOLE, 1n, 2n) : zoomed(window, around, WHOLE, 2n, 1n);
      const moved = panned(window, isIn ? 1n : -1n, WHOLE);
      for (const { from, to } of [next ?? WHOLE, moved ?? WHOLE]) {
        expect(from).toBeGreaterThanOrEqual(WHOLE.from);
        expect(to).toBeLessThanOrEqual(WHOLE.to);
        expect(to).toBeGreaterThan(from);
      }
    }),
  );
});

it("panning keeps the length, zooming has an end", () => {
  expect(panned({ from: 1000n, to: 2000n }, 1n, WHOLE)).toEqual({ from: 1250n, to: 2250n });
  expect(zoomed({ from: 1000n, to: 1100n }, 1050n, WHOLE, 1n, 2n)).toEqual({ from: 1000n, to: 1100n });
});
