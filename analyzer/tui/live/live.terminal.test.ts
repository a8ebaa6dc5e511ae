import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fixture } from "../../testing/program.js";
import { Terminals } from "../testing/terminal.js";

let terminals: Terminals;
beforeAll(async () => {
  terminals = await Terminals.open();
});
afterAll(() => terminals.close());

const REPLAY = ["live", "--replay", fixture("kvmuser-leak-6.1.dat.xz"), "--speed"];

describe.each([
  { columns: 80, rows: 24 },
  { columns: 200, rows: 60 },
])("live at $columns columns", (size) => {
  it("shows what is alive, and a leak once it is one", async () => {
    const terminal = terminals.start([...REPLAY, "0.5"], size);
    await terminal.shows(/virtual machine 0xffffcf5cc0421000 +[123] /);
    await terminal.shows(/suspected leak virtual machine 0xffffcf5cc0421000/);
    terminal.press("8", ":");
    terminal.type("SELECT class, label FROM objects WHERE class = 'kvm'\n");
    await terminal.shows("SQL SELECT class", /kvm +virtual machine 0xffffcf5cc0421000/);
    terminal.press("1");
    await terminal.shows(" ended ·", /[0-9]+ events/, "nothing lost", /kvm 1 \(refs 1\)/);
    terminal.press("q");
    await terminal.shows("[ended 0]");
  });

  it("holds the picture and goes back in it", async () => {
    const terminal = terminals.start([...REPLAY, "4"], size);
    await terminal.shows(" ended ·");
    terminal.press("p", "Left");
    await terminal.shows("❚❚ held at", "▲", /kvm [123]/);
    terminal.press("p");
    await terminal.shows("● ");
    terminal.press("2");
    await terminal.shows(/suspected +leak/, "Story");
    terminal.press("q");
    await terminal.shows("[ended 0]");
  });
});

describe("a recording that cannot be watched", () => {
  it("says why, and leaves with q", async () => {
    const terminal = terminals.start(["live", "--replay", join(terminals.folder, "none.dat")]);
    await terminal.shows("no such file");
    terminal.press("q");
    await terminal.shows("[ended 0]");
  });
});

it("names of tasks do nothing to the terminal", async () => {
  const trace = join(terminals.folder, "hostile.txt");
  const lines = readFileSync(fixture("seq-extra-put-value.txt"), "utf8");
  const [comm = ""] = /[^\s-]+(?=-\d+ +\[)/.exec(lines) ?? [];
  writeFileSync(trace, lines.replaceAll(`${comm}-`, "\u001b[31m\u001b]0;owned\u0007-"));
  const terminal = terminals.start(["tui", trace], { columns: 200, rows: 60 });
  await terminal.shows("extra-put", "\\e[31m\\e]0;owned\\x07");
  expect(terminal.fact("pane_title")).not.toContain("owned");
  terminal.press("Enter");
  await terminal.shows("Events", "\\e[31m\\e]0;o");
  terminal.press("q");
  await terminal.shows("[ended 0]");
  expect(terminal.fact("pane_title")).not.toContain("owned");
});
