/**
 * The reaper: a process in a session of its own that undoes a recording in the kernel as soon as its recorder is gone,
 * however that ended. The recorder holds the other end of its standard input; end of file is what wakes it.
 *
 * Run as `node reaper.js TRACEFS_ROOT`. Takes lines: `hold` (a recording begins), `child PID START` (a tool that must
 * not outlive the recorder). Says `ready`, `holding`, and at the end what could not be undone.
 */
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { startTime } from "../processes.js";
import { Tracefs } from "./tracefs.js";

/** Files of the instance that are closed just now keep it busy for a moment. */
const RETRIES = 40;
const RETRY_MS = 50;

const tracefs = new Tracefs(process.argv[2] ?? "");
const children: { pid: number; start: string }[] = [];
let marker: number | null = null;

// Only the recorder's end ends it: a service manager signals all of a unit's processes at once.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
// Nobody may be left to hear what it says.
process.stdout.on("error", () => {});

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const [word, pid, start] = line.split(" ");
  if (word === "hold") {
    marker = tracefs.openMarker();
    process.stdout.write(marker === null ? "gone\n" : "holding\n");
  } else if (word === "child" && pid !== undefined && start !== undefined) {
    children.push({ pid: Number(pid), start });
  }
});
lines.on("close", () => {
  if (marker === null) process.exit(0);
  undo(marker).then((problems) => {
    process.stdout.write(problems.map((problem) => `${problem}\n`).join(""), () =>
      process.exit(problems.length > 0 ? 1 : 0),
    );
  });
});
process.stdout.write("ready\n");

async function undo(held: number): Promise<string[]> {
  // First silence, which is quick; removing hundreds of probes may take a second.
  const problems = tracefs.disarm();
  for (const child of children) killGroup(child);
  tracefs.closeMarker(held);
  for (let attempt = 0; !tracefs.removeInstance(); attempt++) {
    if (attempt === RETRIES) return [...problems, `${tracefs.instance} is in use by somebody else and stays`];
    await sleep(RETRY_MS);
  }
  return problems;
}

/** The tool leads a process group; its number may have been given to another process meanwhile. */
function killGroup({ pid, start }: { pid: number; start: string }): void {
  if (startTime(pid) !== start) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It ended by itself.
  }
}
