import { EventEmitter } from "node:events";
import fc from "fast-check";
import { render, useInput } from "ink";
import { describe, expect, it, vi } from "vitest";
import { keysOf } from "../frame/ink-keys.js";
import { type MousePress, TerminalInput, type Told } from "./input.js";
import { Screen } from "./screen.js";

/** A terminal's side of the wire. */
function wire(told: Told = {}) {
  const source = Object.assign(new EventEmitter(), {
    setRawMode: () => {},
    resume: () => {},
    pause: () => {},
    ref: () => {},
    unref: () => {},
  });
  const input = new TerminalInput(source as never, told);
  input.open();
  return { input, send: (text: string) => source.emit("data", text) };
}

function Keys({ onKeys }: { onKeys: (keys: readonly string[]) => void }) {
  useInput((input, key) => onKeys(keysOf(input, key)));
  return null;
}

/** The keys that ktally gets, through ink, for what a terminal sends. */
async function keysFor(text: string): Promise<string[]> {
  const keys: string[] = [];
  const { input, send } = wire();
  const screen = new Screen({ columns: 20, rows: 3, write: () => true });
  const ink = render(<Keys onKeys={(pressed) => keys.push(...pressed)} />, {
    stdin: input as never,
    stdout: screen as never,
    exitOnCtrlC: false,
    patchConsole: false,
    debug: true,
  });
  // The last key is known: what comes before it has been pressed, or was none.
  send(`${text}$`);
  while (!keys.includes("$")) await new Promise((resolve) => setImmediate(resolve));
  ink.unmount();
  return keys.slice(0, -1);
}

describe("keys", () => {
  it.each([
    ["jk", ["j", "k"]],
    ["G", ["G"]],
    ["[]", ["[", "]"]],
    ["\u001b[A\u001bOB", ["up", "down"]],
    ["\u001b[5~\u001b[6~\u001b[H\u001b[4~", ["pageup", "pagedown", "home", "end"]],
    ["\u001b[1;2B\u001b[1;5C\u001b[Z", ["shift+down", "ctrl+right", "shift+tab"]],
    ["\r\t\u007f\u0003\u0004", ["enter", "tab", "backspace", "ctrl+c", "ctrl+d"]],
    ["\u001b[3~\u001b[A", ["delete", "up"]],
    ["é日", ["é", "日"]],
    ["\u001b\u001b[A", ["escape", "up"]],
  ])("%j", async (text, expected) => {
    expect(await keysFor(text)).toEqual(expected);
  });

  it.each(["\r", "\t", "\u007f", "\u0003", "\u001b[Z", " ", "1"])(
    "%j alone is what it is among others",
    async (text) => {
      expect(await keysFor(text)).toEqual((await keysFor(`x${text}`)).slice(1));
    },
  );

  it("unknown sequences press nothing", async () => {
    expect(await keysFor("\u001b[?62;4c\u001b[99~\u001b[1;2;3u\u001b]11;rgb:1/2/3\u0007\u001bq")).toEqual([]);
  });
});

describe("what ink has no words for", () => {
  it("the mouse has a place", () => {
    const presses: MousePress[] = [];
    const { send } = wire({ mouse: (press) => presses.push(press) });
    send("\u001b[<64;10;5M\u001b[<0;1;2M\u001b[<0;1;2m");
    expect(presses).toEqual([
      { name: "wheel-up", at: { column: 9, row: 4 } },
      { name: "click", at: { column: 0, row: 1 } },
    ]);
  });

  it("pastes come whole, and are no keys", () => {
    const pastes: string[] = [];
    const { input, send } = wire({ paste: (text) => pastes.push(text) });
    send("\u001b[200~q\u001b[A");
    send("q\u001b[201");
    send("~k");
    expect(pastes).toEqual(["q\u001b[Aq"]);
    expect(input.read()).toBe("k");
  });

  it("a paste without an end leaves the keys to their user", () => {
    vi.useFakeTimers();
    const pastes: string[] = [];
    const { input, send } = wire({ paste: (text) => pastes.push(text) });
    send("\u001b[200~never ended");
    vi.runAllTimers();
    vi.useRealTimers();
    send("q");
    expect(pastes).toEqual(["never ended"]);
    expect(input.read()).toBe("q");
  });

  it("an answer about colours is no key", () => {
    const answers: string[] = [];
    const { input, send } = wire({ answer: (answer) => answers.push(answer) });
    send("\u001b]11;rgb:1e1e/1e1e/2e2e\u001b\\q");
    expect(input.read()).toBe("q");
    expect(answers).toEqual(["\u001b]11;rgb:1e1e/1e1e/2e2e\u001b\\"]);
  });
});

describe("sequences", () => {
  it("escape alone waits for what may follow", async () => {
    const { input, send } = wire();
    send("\u001b");
    expect(input.read()).toBeNull();
    send("[A");
    expect(input.read()).toBe("\u001b[A");
    send("\u001b");
    await new Promise((resolve) => input.once("readable", resolve));
    expect(input.read()).toBe("\u001b[27u");
  });

  it("come out the same, and in order, however they are cut", async () => {
    const pieces = fc.constantFrom(
      "j",
      "\u001b[A",
      "\u001b[<64;3;4M",
      "\u001bOB",
      "é",
      "\u001b[1;5C",
      "\r",
      "\u001b[200~x\u001b[201~",
    );
    const heard = async (texts: readonly string[]) => {
      const told: unknown[] = [];
      const { input, send } = wire({
        mouse: (press) => told.push(press.name),
        paste: (text) => told.push(`paste ${text}`),
      });
      input.on("readable", () => told.push(...(input.read() ?? "")));
      for (const text of texts) send(text);
      send("$");
      while (told.at(-1) !== "$") await new Promise((resolve) => setImmediate(resolve));
      input.close();
      return told.join("");
    };
    await fc.assert(
      fc.asyncProperty(fc.array(pieces, { maxLength: 8 }), fc.array(fc.nat(60)), async (parts, cuts) => {
        const text = parts.join("");
        const edges = [0, ...cuts.map((at) => Math.min(at, text.length)).sort((a, b) => a - b), text.length];
        const cut = edges.slice(1).map((to, index) => text.slice(edges[index], to));
        const expected = text
          .replaceAll("\u001b[<64;3;4M", "wheel-up")
          .replaceAll("\u001b[200~x\u001b[201~", "paste x");
        expect(await heard(cut)).toBe(`${expected}$`);
      }),
    );
  });
});
