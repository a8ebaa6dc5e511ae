import { expect, it } from "vitest";
import { BINDINGS, bindingFor, bindingsOf, keyLabel, type ScreenName } from "./keys.js";

const SCREENS = [...new Set(BINDINGS.flatMap(({ on }) => on ?? []))] as ScreenName[];

it("a key means one thing on a screen", () => {
  for (const screen of SCREENS) {
    const keys = bindingsOf(screen).flatMap((binding) => binding.keys);
    expect(keys.filter((key, index) => keys.indexOf(key) !== index)).toEqual([]);
  }
});

it("every screen can be left, moved in by vi's keys and by arrows, and explains itself", () => {
  for (const screen of SCREENS) {
    expect(["q", "?", "j", "k", "down", "up"].map((key) => bindingFor(screen, key)?.command)).toEqual([
      "quit",
      "help",
      "down",
      "up",
      "down",
      "up",
    ]);
  }
});

it("keys are named as people write them", () => {
  expect(["enter", "ctrl+d", "shift+down", "/"].map(keyLabel)).toEqual(["⏎", "^d", "⇧↓", "/"]);
});
