/** Files that nobody wants to keep. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Waits for the end of its standard input, which the end of the process at the other end is, too. */
const REMOVER = `trap "" INT TERM HUP; read _; rm -rf -- "$0"`;

/**
 * Works in a folder that is gone afterwards, also when this process is killed: a shell in a session of its own sees to
 * that.
 * @param name what the folder is for; part of its name
 */
export async function inTemporaryFolder<T>(name: string, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), `ktally-${name}-`));
  const remover = spawn("/bin/sh", ["-c", REMOVER, folder], { detached: true, stdio: ["pipe", "ignore", "ignore"] });
  // Without a shell the folder goes at least where nobody is killed.
  remover.on("error", () => {});
  remover.unref();
  (remover.stdin as Socket).unref();
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    remover.stdin.destroy();
  }
}
