import { describe, expect, it } from "vitest";
import { line, onGround, span } from "./picture.js";
import { backgroundOf, depthOf, paint, themeFor } from "./theme.js";

const LINE = onGround("selected", line(span("proven", "error")));

describe("colours", () => {
  it.each([
    ["none", "dark", /^\u001b\[1;7mproven\u001b\[0m$/],
    ["16", "light", /^\u001b\[1;31;7mproven/],
    ["256", "dark", /^\u001b\[1;38;5;\d+;48;5;\d+mproven/],
    ["true", "light", /^\u001b\[1;38;2;\d+;\d+;\d+;48;2;\d+;\d+;\d+mproven/],
    // On a background that nobody knows only the terminal's own colours can be read.
    ["true", "unknown", /^\u001b\[1;31;7mproven/],
  ] as const)("of depth %s on %s", (depth, background, expected) => {
    expect(paint(LINE, themeFor(depth, background))).toMatch(expected);
  });

  it("are as many as the environment says", () => {
    expect(depthOf({ TERM: "xterm-256color", COLORTERM: "truecolor" })).toBe("true");
    expect(depthOf({ TERM: "xterm-256color" })).toBe("256");
    expect(depthOf({ TERM: "xterm" })).toBe("16");
    expect(depthOf({ TERM: "xterm-256color", NO_COLOR: "1" })).toBe("none");
    expect(depthOf({ TERM: "dumb" })).toBe("none");
  });

  it("fit the background, where it is known", () => {
    expect(backgroundOf({ COLORFGBG: "15;0" })).toBe("dark");
    expect(backgroundOf({ COLORFGBG: "0;default;15" })).toBe("light");
    expect(backgroundOf({})).toBe("unknown");
  });
});
