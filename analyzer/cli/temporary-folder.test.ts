import { spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { buildProgram } from "../testing/program.js";
import { inTemporaryFolder } from "./temporary-folder.js";

let main = "";
let remove = () => {};
beforeAll(() => {
  ({ main, remove } = buildProgram());
});
afterAll(() => remove());

it("is there for the work, and gone with it, also when that fails", async () => {
  let path = "";
  const work = inTemporaryFolder("test", async (folder) => {
    path = folder;
    writeFileSync(join(folder, "file"), "");
    throw new Error("failed");
  });
  await expect(work).rejects.toThrow("failed");
  expect(path).not.toBe("");
  expect(existsSync(path)).toBe(false);
});

it("is gone when its process was killed", async () => {
  const module = pathToFileURL(join(dirname(main), "temporary-folder.js")).href;
  const program = `import { inTemporaryFolder } from ${JSON.stringify(module)};
    import { writeFileSync } from "node:fs";
    await inTemporaryFolder("test", async (folder) => {
      writeFileSync(folder + "/file", "");
      console.log(folder);
      await new Promise((resolve) => setTimeout(resolve, 600_000));
    });`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const path = await new Promise<string>((resolve) => {
    child.stdout.on("data", (bytes: Buffer) => resolve(bytes.toString().trim()));
  });
  expect(existsSync(join(path, "file"))).toBe(true);
  child.kill("SIGKILL");
  while (existsSync(path)) await new Promise((resolve) => setTimeout(resolve, 20));
});
