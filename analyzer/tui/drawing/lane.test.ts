import { expect, it } from "vitest";
import { type Bar, drawLane } from "./lane.js";
import { plain } from "./picture.js";

const WINDOW = { from: 0n, to: 100n };
const bar = (from: bigint | null, to: bigint | null, more: Partial<Bar> = {}): Bar => ({
  from,
  to,
  as: "good",
  weight: "thick",
  ...more,
});
const lane = (...bars: Bar[]) => plain([drawLane(bars, WINDOW, 20)]);

it("a life has a begin and an end, where they were seen", () => {
  expect(lane(bar(10n, 50n))).toBe("  ┣━━━━━━━┫");
  expect(lane(bar(null, 50n))).toBe("◂━━━━━━━━━┫");
  expect(lane(bar(50n, null))).toBe("          ┣━━━━━━━━▶");
  expect(lane(bar(50n, 51n))).toBe("          ┃");
});

it("what lies outside of the window is not drawn, what crosses its edge goes on", () => {
  expect(lane(bar(200n, 300n))).toBe("");
  expect(lane(bar(-50n, 200n))).toBe("━━━━━━━━━━━━━━━━━━━━");
});

it("later bars lie over earlier ones", () => {
  expect(lane(bar(0n, 50n, { weight: "thin" }), bar(20n, 90n, { as: "error" }))).toBe("├───┣━━━━━━━━━━━━━┫");
});
