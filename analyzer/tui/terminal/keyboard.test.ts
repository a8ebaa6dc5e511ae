import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Key, KeyDecoder } from "./keyboard.js";

const names = (text: string): string[] => new KeyDecoder().decode(text).map(({ name }) => name);

describe("keys", () => {
  it.each([
    ["jk", ["j", "k"]],
    ["\u001b[A\u001bOB", ["up", "down"]],
    ["\u001b[5~\u001b[6~\u001b[H\u001b[4~", ["pageup", "pagedown", "home", "end"]],
    ["\u001b[1;2B\u001b[1;5C\u001b[Z", ["shift+down", "ctrl+right", "shift+tab"]],
    ["\r\t\u007f\u0003\u0004", ["enter", "tab", "backspace", "ctrl+c", "ctrl+d"]],
    ["\u001bx", ["alt+x"]],
    ["é日", ["é", "日"]],
    ["\u001b[200~q\u001b[201~", ["paste-begin", "q", "paste-end"]],
  ])("%j", (text, expected) => {
    expect(names(text)).toEqual(expected);
  });

  it("unknown sequences press nothing", () => {
    expect(names("\u001b[?62;4c\u001b[99~q")).toEqual(["q"]);
  });

  it("the mouse has a place", () => {
    expect(new KeyDecoder().decode("\u001b[<64;10;5M\u001b[<0;1;2M\u001b[<0;1;2m")).toEqual([
      { name: "wheel-up", at: { column: 9, row: 4 } },
      { name: "click", at: { column: 0, row: 1 } },
    ]);
  });

  it("escape alone waits for what may follow", () => {
    const decoder = new KeyDecoder();
    expect(decoder.decode("\u001b")).toEqual([]);
    expect(decoder.isWaiting).toBe(true);
    expect(decoder.flush()).toEqual([{ name: "escape" }]);
    expect(decoder.decode("\u001b")).toEqual([]);
    expect(decoder.decode("[A")).toEqual([{ name: "up" }]);
  });

  it("an answer about colours is no key", () => {
    const answers: string[] = [];
    const decoder = new KeyDecoder((answer) => answers.push(answer));
    expect(decoder.decode("\u001b]11;rgb:1e1e/1e1e/2e2e\u001b\\q")).toEqual([{ name: "q" }]);
    expect(answers).toEqual(["11;rgb:1e1e/1e1e/2e2e"]);
  });

  it("come out the same however they are cut", () => {
    const pieces = fc.constantFrom("j", "\u001b[A", "\u001b[<64;3;4M", "\u001bOB", "é", "\u001b[1;5C", "\r");
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 8 }), fc.array(fc.nat(40)), (parts, cuts) => {
        const text = parts.join("");
        const whole = new KeyDecoder().decode(text);
        const decoder = new KeyDecoder();
        const keys: Key[] = [];
        let from = 0;
        for (const cut of [...cuts.map((at) => Math.min(at, text.length)).sort((a, b) => a - b), text.length]) {
          keys.push(...decoder.decode(text.slice(from, cut)));
          from = cut;
        }
        expect(keys).toEqual(whole);
      }),
    );
  });
});
