/** The README's screen is what a user sees. `KTALLY_SCREENS=write npm run test:terminal -- readme` draws it anew. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { packageRoot } from "../../collectors/package-root.js";
import { fixture } from "../testing/program.js";
import { Terminals } from "./testing/terminal.js";

const README = fileURLToPath(new URL("README.md", packageRoot()));
const BLOCK = /(<!-- screen: [^\n]*-->\n```\n)([\s\S]*?)(```\n)/;

let terminals: Terminals;
beforeAll(async () => {
  terminals = await Terminals.open();
});
afterAll(() => terminals.close());

it("the README shows the screen of an object with a leak", async () => {
  const terminal = terminals.start(["tui", fixture("kvmuser-leak-6.1.dat.xz")], { columns: 100, rows: 26 });
  await terminal.shows("Story");
  terminal.press("Enter");
  await terminal.shows("Events");
  terminal.press("u");
  const screen = await terminal.shows("Events 3/5");
  terminal.press("q");
  const drawn = `${screen
    .split("\n")
    .map((row) => row.trimEnd())
    .join("\n")
    .trimEnd()}\n`;
  const readme = readFileSync(README, "utf8");
  if (process.env.KTALLY_SCREENS === "write")
    writeFileSync(
      README,
      readme.replace(BLOCK, (_, head, _old, end) => `${head}${drawn}${end}`),
    );
  expect(BLOCK.exec(readFileSync(README, "utf8"))?.[2]).toBe(drawn);
});
