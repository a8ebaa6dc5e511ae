/** Runs a command and says how long it took and how much memory it held. */

import { spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { fileURLToPath } from "node:url";

export interface Run {
  seconds: number;
  /** Most bytes in memory at once; null for commands that are not ours. */
  peakBytes: number | null;
  exit: number | null;
}

const CLI = fileURLToPath(new URL("../cli/main.js", import.meta.url));
/** Makes a Node process tell its peak memory (in KiB) when it ends, on a descriptor of its own. */
const TELL_PEAK = `data:text/javascript,import { writeSync } from "node:fs";
import { isMainThread } from "node:worker_threads";
if (isMainThread) process.on("exit", () => writeSync(3, String(process.resourceUsage().maxRSS)));`;

export function runKtally(args: readonly string[]): Promise<Run> {
  return run(process.execPath, ["--import", TELL_PEAK, CLI, ...args]);
}

/**
 * @param output a descriptor that the command's output goes to, and is closed after; without one nobody hears it
 * @returns null when there is no such command
 */
export async function runOther(command: string, args: readonly string[], output?: number): Promise<Run | null> {
  try {
    return await run(command, args, output);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  } finally {
    if (output !== undefined) closeSync(output);
  }
}

function run(command: string, args: readonly string[], output?: number): Promise<Run> {
  return new Promise((resolve, reject) => {
    const start = process.hrtime.bigint();
    const child = spawn(command, args, { stdio: ["ignore", output ?? "ignore", "ignore", "pipe"] });
    let told = "";
    child.stdio[3]?.on("data", (bytes: Buffer) => {
      told += bytes.toString();
    });
    child.on("error", reject);
    child.on("close", (exit) => {
      const seconds = Number(process.hrtime.bigint() - start) / 1e9;
      resolve({ seconds, peakBytes: told === "" ? null : Number(told) * 1024, exit });
    });
  });
}
