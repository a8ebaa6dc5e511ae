/** `ktally check` with recordings made before: what it exits with, and how `git bisect run` takes it. */
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { buildProgram, fixture } from "../testing/program.js";

const { main, remove } = buildProgram();
const folder = mkdtempSync(join(tmpdir(), "ktally-check-test-"));
afterAll(() => {
  remove();
  rmSync(folder, { recursive: true });
});

/**
 * A `check` whose recorder runs the command and hands over a fixture instead of recording: the command's last line
 * of output names it.
 */
const check = join(folder, "check.mjs");
const programs = pathToFileURL(`${dirname(main)}/`);
writeFileSync(
  check,
  `#!${process.execPath}
const { spawnSync } = await import("node:child_process");
const { copyFileSync } = await import("node:fs");
const { runCheck } = await import(${JSON.stringify(new URL("check.js", programs))});
const record = async (trace, argv) => {
  const { status, stdout } = spawnSync(argv[0], argv.slice(1), { encoding: "utf8" });
  copyFileSync(stdout.trim(), trace);
  return { command: { status } };
};
const options = { format: "text", errorExitcode: Number(process.env.ERROR_EXITCODE ?? 1), quiet: true };
process.exitCode = await runCheck(process.argv.slice(2), { ...options, output: ${JSON.stringify(join(folder, "trace"))} }, record);
`,
);
chmodSync(check, 0o755);

const BUG = fixture("seed0-stale-device-ops-6.1.dat.xz");
const CLEAN = fixture("clean-6.1.dat.xz");
const PARTIAL = fixture("clean-6.12.dat.xz");

function run(trace: string, status: number, env: NodeJS.ProcessEnv = {}) {
  const ended = spawnSync(check, ["sh", "-c", `echo ${trace}; exit ${status}`], {
    encoding: "utf8",
    env: { ...process.env, ...env },
  });
  return { exit: ended.status, said: ended.stderr.trim().split("\n").at(-1) };
}

describe("exit code: the first that holds", () => {
  it.each([
    ["a bug", BUG, 0, 1, "ktally: exit 1: the kernel has a bug"],
    ["a bug, whatever the command says", BUG, 3, 1, "ktally: exit 1: the kernel has a bug"],
    ["the command's status", CLEAN, 3, 3, "ktally: exit 3: the status of the command; no bug was found"],
    [
      "the command's status before doubts",
      PARTIAL,
      3,
      3,
      "ktally: exit 3: the status of the command; no bug was found",
    ],
    ["doubts", PARTIAL, 0, 125, "ktally: exit 125: no bug was found, but not everything was seen"],
    ["nothing found", CLEAN, 0, 0, "ktally: exit 0: no bug was found, and everything was seen"],
  ])("%s", (_, trace, status, exit, said) => {
    expect(run(trace, status)).toEqual({ exit, said });
  });

  it("a bug has the code that was asked for", () => {
    expect(run(BUG, 0, { ERROR_EXITCODE: "42" }).exit).toBe(42);
  });
});

describe("git bisect run", () => {
  const git = (...args: string[]) =>
    execFileSync("git", ["-C", repository, "-c", "user.name=T", "-c", "user.email=t@example.org", ...args], {
      encoding: "utf8",
    });
  const repository = mkdtempSync(join(folder, "repository-"));

  /** One commit, whose kernel gives this trace. */
  function commit(trace: string, what: string): string {
    writeFileSync(join(repository, "trace"), `${trace}\n`);
    writeFileSync(join(repository, "what"), what);
    git("add", ".");
    git("commit", "-q", "-m", what);
    return git("rev-parse", "HEAD").trim();
  }

  it("finds the commit that brought the bug, past one that cannot be judged", () => {
    git("init", "-q");
    const good = commit(CLEAN, "good");
    commit(PARTIAL, "cannot be judged");
    commit(CLEAN, "good again");
    const first = commit(BUG, "the bug");
    const bad = commit(BUG, "later");
    git("bisect", "start", bad, good);
    const said = git("bisect", "run", check, "cat", "trace");
    expect(said).toContain(`${first} is the first bad commit`);
  });
});
