import { expect, it } from "vitest";
import { backgroundIn, mayAsk } from "./background.js";

it.each([
  ["\u001b]11;rgb:1e1e/1e1e/2e2e\u001b\\", "dark"],
  ["\u001b]11;rgb:ffff/ffff/dddd\u0007", "light"],
  ["\u001b]11;rgb:f/f/f\u0007", "light"],
  ["\u001b]11;rgba:0000/8000/0000/ffff\u0007", "dark"],
  ["\u001b[?62;4c", "unknown"],
  ["\u001b]10;rgb:ffff/ffff/ffff\u0007", null],
  ["\u001b[?1u", null],
])("%j says %s", (answer, background) => {
  expect(backgroundIn(answer)).toBe(background);
});

it("nobody is asked who said it already, or has no colours for it", () => {
  expect(mayAsk("256", "unknown")).toBe(true);
  expect(mayAsk("true", "light")).toBe(false);
  expect(mayAsk("16", "unknown")).toBe(false);
  expect(mayAsk("none", "unknown")).toBe(false);
});
