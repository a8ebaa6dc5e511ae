import { expect, it } from "vitest";
import { line } from "../drawing/picture.js";
import { themeFor } from "../drawing/theme.js";
import { Screen } from "./screen.js";

function opened() {
  const written: string[] = [];
  const screen = new Screen({ columns: 20, rows: 3, write: (text) => written.push(text) }, themeFor("none", "unknown"));
  screen.open();
  screen.draw([line("one"), line("two"), line("three")]);
  written.length = 0;
  return { screen, written };
}

it("only rows that changed are written", () => {
  const { screen, written } = opened();
  screen.draw([line("one"), line("changed"), line("three")]);
  expect(written.join("")).toMatch(/\u001b\[2;1H.*changed/);
  expect(written.join("")).not.toMatch(/one|three/);
});

it("everything is written again after it was forgotten, and rows that are gone are erased", () => {
  const { screen, written } = opened();
  screen.forget();
  screen.draw([line("one"), line("two")]);
  expect(written.join("")).toMatch(/one.*two/);
  screen.draw([line("one")]);
  expect(written.at(-1)).toMatch(/\u001b\[2;1H\u001b\[0J/);
});

it("the terminal is given back once, and a closed screen draws nothing", () => {
  const { screen, written } = opened();
  screen.close();
  screen.close();
  screen.draw([line("late")]);
  expect(written).toHaveLength(1);
  expect(written[0]).toMatch(/\u001b\[\?25h\u001b\[\?1049l$/);
});
