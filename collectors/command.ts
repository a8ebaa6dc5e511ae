/** Runs the user's command inside a recording, and hands on what the user tells it to stop with. */
import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";

/** What a shell exits with when a command cannot be run (POSIX, Exit Status for Commands). */
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;
const KILLED_BASE = 128;

export interface RunningCommand {
  /** null when it could not be started. */
  pid: number | null;
  /** Its status, as a shell would have it. */
  ended: Promise<number>;
  signal(signal: NodeJS.Signals): void;
}

/** Starts a command on this process's own standard input and outputs; `say` is told why it cannot be. */
export function startCommand(
  argv: readonly string[],
  { stdout, say }: { stdout: "inherit" | number; say: (message: string) => void },
): RunningCommand {
  const [program = "", ...args] = argv;
  const child: ChildProcess = spawn(program, args, { stdio: ["inherit", stdout, "inherit"] });
  const ended = new Promise<number>((resolve) => {
    child.on("error", (error: NodeJS.ErrnoException) => {
      say(`${program}: ${error.code === "ENOENT" ? "command not found" : `cannot be run (${error.code})`}`);
      resolve(error.code === "ENOENT" ? NOT_FOUND : NOT_EXECUTABLE);
    });
    child.on("exit", (code, signal) =>
      resolve(code ?? KILLED_BASE + (signal === null ? 0 : constants.signals[signal])),
    );
  });
  return { pid: child.pid ?? null, ended, signal: (signal) => void child.kill(signal) };
}
