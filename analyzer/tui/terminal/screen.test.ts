import { expect, it } from "vitest";
import { Screen } from "./screen.js";

function opened() {
  const written: string[] = [];
  const write = (text: string | Uint8Array) => written.push(String(text)) > 0;
  const screen = new Screen({ columns: 20, rows: 3, write });
  screen.open();
  screen.write("one\ntwo\nthree");
  written.length = 0;
  return { screen, written };
}

it("only rows that changed are written", () => {
  const { screen, written } = opened();
  screen.write("one\nchanged\nthree");
  expect(written.join("")).toMatch(/\u001b\[2;1H.*changed/);
  expect(written.join("")).not.toMatch(/one|three/);
});

it("everything is written again after it was forgotten, and rows that are gone are erased", () => {
  const { screen, written } = opened();
  screen.forget();
  screen.write("one\ntwo");
  expect(written.join("")).toMatch(/one.*two/);
  screen.write("one");
  expect(written.at(-1)).toMatch(/\u001b\[2;1H\u001b\[0J/);
});

it("the cursor stands where the user types", () => {
  const { screen, written } = opened();
  screen.cursor = { row: 2, column: 5 };
  screen.write("one\ntwo\nthree");
  expect(written.join("")).toContain("\u001b[3;6H\u001b[?25h");
});

it("the terminal is given back once, and a closed screen draws nothing", () => {
  const { screen, written } = opened();
  screen.close();
  screen.close();
  screen.write("late");
  expect(written).toHaveLength(1);
  expect(written[0]).toMatch(/\u001b\[\?25h\u001b\[\?1049l$/);
});
