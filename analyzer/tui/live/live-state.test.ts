import { expect, it } from "vitest";
import { type LiveFacts, reduceLive, sparkline, startLive } from "./live-state.js";

const FACTS: LiveFacts = { count: 10, rows: 5, from: 0n, to: 1000n, step: 100n };

it("the picture is held and let go, and goes back and forth within the recording", () => {
  const held = reduceLive(startLive(), "pause", FACTS);
  expect(held.at).toBe(1000n);
  expect(reduceLive(held, "pause", FACTS).at).toBeNull();
  expect(reduceLive(startLive(), "pan-left", FACTS).at).toBe(900n);
  expect(reduceLive({ ...held, at: 50n }, "pan-left", FACTS).at).toBe(0n);
  expect(reduceLive({ ...held, at: 950n }, "pan-right", FACTS).at).toBe(1000n);
  expect(reduceLive(held, "last", FACTS).list.selected).toBe(9);
});

it("rates are bars; what is there at all can be seen", () => {
  expect(sparkline([0, 1, 400, 800])).toBe(" ▁▄█");
  expect(sparkline([0, 0])).toBe("  ");
});
