/** A session that fails where nobody catches it, for the test of what becomes of the terminal. */
import { App } from "../app.js";
import { line } from "../drawing/picture.js";
import { runSession } from "../terminal/session.js";

let isBroken = false;
const view = {
  name: "text",
  title: "Failing",
  draw: () => {
    if (isBroken) throw new Error("thrown by a screen");
    return [line("fails soon")];
  },
  handle: () => null,
} as const;
const app = new App([{ title: "Failing", make: () => view }], "");
app.press = (key) => {
  isBroken = key === "s";
  if (key === "t") {
    setTimeout(() => {
      throw new Error("thrown by a timer");
    });
  }
  return null;
};

try {
  process.exitCode = await runSession({ app, depth: "16", background: "unknown" });
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 3;
}
