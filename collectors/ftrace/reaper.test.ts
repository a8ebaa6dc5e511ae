/** The real reaper, on a folder that has the files of tracefs. What the kernel makes of the writes is the lab's matter. */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeEach, expect, test } from "vitest";
import { buildProgram } from "../../analyzer/testing/program.js";

const { main, remove } = buildProgram();
const folder = mkdtempSync(join(tmpdir(), "ktally-reaper-"));
afterAll(() => {
  remove();
  rmSync(folder, { recursive: true });
});

const read = (name: string) => readFileSync(join(folder, name), "utf8");

beforeEach(() => {
  const files = {
    kprobe_events: "p:kprobes/mine do_exit\np:ktally/a a\n",
    "instances/ktally/trace_marker": "",
    "instances/ktally/tracing_on": "1\n",
    "instances/ktally/events/enable": "1\n",
  };
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
});

/** A recorder that runs `then` once its reaper stands by; resolves with what it printed when it and the reaper ended. */
function recorder(then: string, detached = false): Promise<string> {
  const module = pathToFileURL(join(dirname(main), "../../collectors/ftrace/reaper-process.js"));
  const program = `
    const { ReaperProcess } = await import(${JSON.stringify(module)});
    const reaper = await ReaperProcess.start(${JSON.stringify(folder)});
    ${then}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    detached,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => {
    said += chunk;
  });
  return new Promise((resolve) => child.on("close", () => resolve(said)));
}

const disarmed = () => expect.poll(() => read("kprobe_events"), { timeout: 30_000 }).toContain("-:ktally/a\n");

test("a recorder that is killed is cleaned up after", async () => {
  await recorder(`await reaper.hold(); process.kill(process.pid, "SIGKILL");`);
  await disarmed();
  expect(read("instances/ktally/tracing_on")).toMatch(/^0/);
  expect(read("instances/ktally/events/enable")).toMatch(/^0/);
  expect(read("kprobe_events")).not.toContain("-:kprobes/");
});

test("so is one whose whole process group is killed", async () => {
  await recorder(`await reaper.hold(); process.kill(-process.pid, "SIGKILL");`, true);
  await disarmed();
});

test("a tool of the recorder's is ended with it", async () => {
  const said = await recorder(`
    const { spawn } = await import("node:child_process");
    const tool = spawn("sleep", ["1000"], { detached: true, stdio: "ignore" });
    await reaper.hold();
    reaper.watch(tool.pid);
    process.stdout.write(String(tool.pid), () => process.kill(process.pid, "SIGKILL"));`);
  await disarmed();
  const alive = () => {
    try {
      process.kill(Number(said), 0);
      return readFileSync(`/proc/${said}/stat`, "utf8").includes(") Z ") ? "ended" : "alive";
    } catch {
      return "ended";
    }
  };
  await expect.poll(alive, { timeout: 30_000 }).toBe("ended");
});

test("at the end of a recording it says what it could not undo", async () => {
  // A real folder with files in it cannot be removed as tracefs' can.
  const said = await recorder(`await reaper.hold(); console.log(JSON.stringify(await reaper.finish()));`);
  expect(said).toContain(`${join(folder, "instances/ktally")} is in use by somebody else and stays`);
});

test("before a recording has begun it touches nothing", async () => {
  await recorder(`process.kill(process.pid, "SIGKILL");`);
  const said = await recorder("console.log(JSON.stringify(await reaper.finish()));");
  expect(said).toBe("[]\n");
  expect(read("kprobe_events")).toBe("p:kprobes/mine do_exit\np:ktally/a a\n");
});
