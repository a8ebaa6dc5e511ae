import fc from "fast-check";
import { expect, it } from "vitest";
import { type ItemStream, mergeByTime } from "./merge.js";
import type { Gap, TraceItem } from "./trace-event.js";

/** A gap is the smallest item; `lost` numbers it. */
function item(to: bigint, lost: number): Gap {
  return { kind: "gap", code: "lost-events", cpu: 0, from: null, to, lost };
}

function stream(batches: TraceItem[][]): ItemStream {
  const left = [...batches];
  return { next: () => left.shift() ?? null };
}

it("keeps the order of each stream, and earlier streams first at equal times", () => {
  const first = stream([[item(1n, 1), item(5n, 2)], [item(5n, 3)]]);
  const second = stream([[item(1n, 4)], [item(4n, 5), item(5n, 6)]]);
  const merged = [...mergeByTime([first, stream([]), second])].flat();
  expect(merged.map((gap) => (gap as Gap).lost)).toEqual([1, 4, 5, 2, 3, 6]);
});

it("is a stable sort by time", () => {
  const times = fc.array(fc.bigInt({ min: 0n, max: 20n }), { maxLength: 30 });
  fc.assert(
    fc.property(fc.array(times, { maxLength: 9 }), (lists) => {
      let number = 0;
      const ordered = lists.map((list) => [...list].sort((a, b) => Number(a - b)).map((time) => item(time, number++)));
      const merged = [...mergeByTime(ordered.map((items) => stream(items.map((one) => [one]))))].flat();
      const expected = ordered.flat().sort((a, b) => Number(a.to! - b.to!) || a.lost! - b.lost!);
      expect(merged).toEqual(expected);
    }),
  );
});

it("hands over in batches", () => {
  const items = Array.from({ length: 2500 }, (_, index) => item(BigInt(index), index));
  expect([...mergeByTime([stream([items])])].map((batch) => batch.length)).toEqual([1000, 1000, 500]);
});
