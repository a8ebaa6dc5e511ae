/** Imports that do not end well: the database opens or says that it is incomplete, and the next one replaces it. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import BetterSqlite from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildProgram, fixture, start } from "../testing/program.js";

const folder = mkdtempSync(join(tmpdir(), "ktally-interrupted-"));
afterAll(() => rmSync(folder, { recursive: true }));

let main = "";
let remove = () => {};
beforeAll(() => {
  ({ main, remove } = buildProgram());
});
afterAll(() => remove());

const CLEAN = fixture("seq-get-after-zero-healthy.txt");
const LINE =
  "            work-1     [000] .....  1000.000001: kvm_put: (kvm_put_kvm+0x0/0x40 [kvm]) kvm=0xffffcfc200679000\n";

/** Whether the import of a database has begun. */
function hasBegun(path: string): boolean {
  if (!existsSync(path)) return false;
  const database = new BetterSqlite(path, { readonly: true, timeout: 0 });
  try {
    return database.prepare("SELECT value FROM meta WHERE key = 'state'").pluck().get() === "importing";
  } catch (error) {
    // Rows are on their way into the file, which was made before.
    return (error as { code?: string }).code === "SQLITE_BUSY" && statSync(path).size > 0;
  } finally {
    database.close();
  }
}

/** Starts an import from a stream that never ends, and waits until it is under way. */
async function importing(db: string): Promise<{ child: ChildProcess; ended: Promise<string | null> }> {
  const child = spawn(process.execPath, [main, "analyze", "-", "--db", db], { stdio: ["pipe", "ignore", "ignore"] });
  child.stdin?.on("error", () => {});
  child.stdin?.write(LINE.repeat(5000));
  const ended = new Promise<string | null>((resolve) => child.on("close", (_, signal) => resolve(signal)));
  while (!hasBegun(db)) await new Promise((resolve) => setTimeout(resolve, 50));
  return { child, ended };
}

describe.each(["SIGINT", "SIGTERM", "SIGKILL"] as const)("%s while the trace is read", (signal) => {
  it("ends at once, and the database says that it is incomplete", async () => {
    const db = join(folder, `${signal}.db`);
    const { child, ended } = await importing(db);
    child.kill(signal);
    expect(await ended).toBe(signal);
    expect(await start(main, ["query", db, "SELECT 1"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("its import was interrupted"),
    });
    expect(await start(main, ["analyze", "--class", "kvm", "--db", db, CLEAN])).toMatchObject({ code: 0 });
    expect(await start(main, ["query", db, "SELECT count(*) > 0 FROM events"])).toMatchObject({ code: 0 });
  });
});

it("a database that another process holds is left to it", async () => {
  const db = join(folder, "held.db");
  expect(await start(main, ["analyze", "--class", "kvm", "--db", db, CLEAN])).toMatchObject({ code: 0 });
  const holder = new BetterSqlite(db);
  holder.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
  const ended = await start(main, ["analyze", "--db", db, CLEAN]);
  holder.exec("ROLLBACK");
  holder.close();
  expect(ended).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("locked by another process") });
  expect(await start(main, ["query", db, "SELECT 1"])).toMatchObject({ code: 0 });
});
