/**
 * What `npm start` runs. Without arguments: the bundled trace of a real bug, ending with status 0, so that a first
 * look does not end in npm's error block; with files, the user's own with its real status.
 */
import { fileURLToPath } from "node:url";
import { packageRoot } from "../../collectors/package-root.js";
import { EXIT } from "../exit-code.js";
import { writeResult } from "./output.js";
import { run } from "./program.js";

const files = process.argv.slice(2);
if (files.length > 0) {
  process.exitCode = await run(["analyze", ...files]);
} else {
  const trace = fileURLToPath(new URL("fixtures/seed0-stale-device-ops-6.1.dat.xz", packageRoot()));
  const exit = await run(["analyze", trace]);
  if (exit === EXIT.bug) {
    const words = `
This was the bundled trace of a real bug. ktally analyze would have exited with ${exit}: a bug was found.
Your own trace: npm start -- FILE...   All commands: npx ktally --help
`;
    await writeResult(words, null);
  }
  process.exitCode = exit === EXIT.bug ? EXIT.clean : EXIT.unusable;
}
