import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { run } from "./program.js";

afterEach(() => vi.restoreAllMocks());

/** What a command line says on standard error, and its exit code. */
async function fails(...args: string[]): Promise<{ exit: number; said: string }> {
  let said = "";
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    said += String(text);
    return true;
  });
  return { exit: await run(["probes", ...args]), said };
}

test("A kernel that is given by half, or by files that are none of its, is refused in one sentence", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ktally-"));
  const text = join(folder, "vmlinux");
  writeFileSync(text, "this is not a kernel at all, only text");
  expect(await fails("--modules", folder)).toMatchObject({ exit: 2, said: expect.stringContaining("give both") });
  expect((await fails("--modules", folder, "--btf", join(folder, "none"))).said).toMatch(
    /^ktally: \S+none: cannot be read \(ENOENT\)\n$/,
  );
  expect((await fails("--modules", folder, "--btf", text)).said).toMatch(/^ktally: \S+vmlinux: offset 0: no BTF .*\n$/);
  expect((await fails("--modules", folder, "--btf", text, "--class", "nothing")).exit).toBe(2);
});
