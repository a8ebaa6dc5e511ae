import { expect, it } from "vitest";
import { clipboardSequence } from "./clipboard.js";

it("text goes to the clipboard in base64", () => {
  expect(clipboardSequence("kvm é", {})).toBe(`\u001b]52;c;${Buffer.from("kvm é").toString("base64")}\u0007`);
});

it("screen gets it in pieces that it passes on", () => {
  const text = "x".repeat(300);
  const sequence = clipboardSequence(text, { STY: "1.pts-0" });
  const inner = [...sequence.matchAll(/\u001bP(.*?)\u001b\\/gs)].map(([, piece]) => piece).join("");
  expect(inner).toBe(clipboardSequence(text, {}));
});
