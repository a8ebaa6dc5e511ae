import { describe, expect, it } from "vitest";
import { plain } from "../drawing/picture.js";
import { type CounterPicture, type CounterStep, counterPoints, drawCounter, netPoints } from "./counter-line.js";

const step = (time: number, delta: number, refs: number | null): CounterStep => ({
  time_ns: BigInt(time),
  delta,
  refs,
});

function drawn(steps: CounterStep[], more: Partial<CounterPicture> = {}): string {
  const picture: CounterPicture = {
    points: counterPoints(steps),
    losses: [],
    window: { from: 0n, to: 100n },
    before: steps.find(({ refs }) => refs !== null)?.refs ?? null,
    selected: null,
    noted: [],
    ...more,
  };
  return `\n${plain(drawCounter(picture, 23, 5))}\n`;
}

describe("what the counter was", () => {
  it("follows from values read and operations seen", () => {
    expect(counterPoints([step(1, 1, null), step(2, 1, 1), step(3, -1, null)]).map(({ value }) => value)).toEqual([
      null,
      2,
      1,
    ]);
  });

  it("breaks where the operations do not lead to the value read", () => {
    expect(counterPoints([step(1, 1, 1), step(2, -1, 3)])).toEqual([
      { time_ns: 1n, value: 2, isBreak: false },
      { time_ns: 2n, value: 2, isBreak: true },
    ]);
  });

  it("is gets less puts where no value was read at all", () => {
    expect(netPoints([step(1, 1, null), step(2, -1, null)]).map(({ value }) => value)).toEqual([1, 0]);
  });
});

describe("the picture", () => {
  it("is a step line; before the first value that was read it is only assumed", () => {
    expect(drawn([step(25, 1, 1), step(50, 1, 2), step(75, -1, 3)])).toBe(`
3┤          ┏━━━━┓
2┤     ╺━━━━┛    ┗━━━━
1┤┄┄┄┄┄
0┤
 └────────────────────
`);
  });

  it("has a gap where events were lost", () => {
    expect(drawn([step(10, 1, 1), step(80, -1, 2)], { losses: [{ from_ns: 40n, to_ns: 60n }] })).toBe(`
2┤  ╺━━━━━░░░░░━━━┓
1┤┄┄      ░░░░░   ┗━━━
 │        ░░░░░
0┤        ░░░░░
 └────────────────────
`);
  });

  it("marks a change that nobody saw, the selected event and those of a finding", () => {
    const picture = drawn([step(10, 1, 1), step(50, -1, 3)], { selected: 10n, noted: [90n] });
    expect(picture.split("\n").at(-2)).toBe(" └──▲───────?───────●─");
  });

  it("shows what came and went within a column", () => {
    const steps = [step(10, 1, 1), step(50, 1, 2), step(50, -1, 3)];
    expect(drawn(steps)).toMatch(/3┤ {10}╻/);
  });
});
