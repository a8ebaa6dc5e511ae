import { expect, it } from "vitest";
import { startPrompt, typeKey } from "./prompt-state.js";

const typed = (text: string, ...keys: string[]) => keys.reduce(typeKey, startPrompt(text));

it("keys edit the line at the cursor", () => {
  expect(typed("", "k", "v", "m")).toEqual({ text: "kvm", cursor: 3 });
  expect(typed("kvm", "left", "left", "x")).toEqual({ text: "kxvm", cursor: 2 });
  expect(typed("kvm", "home", "delete", "end", "backspace")).toEqual({ text: "v", cursor: 1 });
  expect(typed("get put use", "ctrl+w", "ctrl+w")).toEqual({ text: "get ", cursor: 4 });
  expect(typed("get put", "ctrl+u")).toEqual({ text: "", cursor: 0 });
  expect(typed("é", "backspace", "backspace", "up", "日")).toEqual({ text: "日", cursor: 1 });
});
