import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { startCommand } from "./command.js";

const folder = mkdtempSync(join(tmpdir(), "ktally-command-"));
afterAll(() => rmSync(folder, { recursive: true }));
writeFileSync(join(folder, "text"), "not a program\n", { mode: 0o644 });

test.each([
  [["true"], 0, []],
  [["sh", "-c", "exit 7"], 7, []],
  [["sh", "-c", "kill -TERM $$"], 143, []],
  [["sh", "-c", "kill -KILL $$"], 137, []],
  [["no-such-command"], 127, ["no-such-command: command not found"]],
  [[join(folder, "text")], 126, [`${join(folder, "text")}: cannot be run (EACCES)`]],
])("%j has status %d, as in a shell", async (argv, status, messages) => {
  const said: string[] = [];
  const command = startCommand(argv, { stdout: "inherit", say: (message) => said.push(message) });
  expect(await command.ended).toBe(status);
  expect(said).toEqual(messages);
});

test("signals are handed on", async () => {
  const command = startCommand(["sleep", "1000"], { stdout: "inherit", say: () => {} });
  command.signal("SIGINT");
  expect(await command.ended).toBe(130);
});
