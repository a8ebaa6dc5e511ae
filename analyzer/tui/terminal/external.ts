/** Text shown by the user's own pager or editor. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The programs to try, in order: `$PAGER` and the like may hold options, so a shell reads them. */
function commandOf(program: "pager" | "editor", env: NodeJS.ProcessEnv): string {
  if (program === "pager") return env.PAGER || "less";
  return env.VISUAL || env.EDITOR || "vi";
}

/**
 * Shows the text and waits until the program ends. The terminal must be free for it.
 * @returns what went wrong, in a sentence; null when nothing did.
 */
export async function showText(
  text: string,
  program: "pager" | "editor",
  env: NodeJS.ProcessEnv,
): Promise<string | null> {
  const folder = mkdtempSync(join(tmpdir(), "ktally-"));
  const file = join(folder, "ktally.txt");
  const command = commandOf(program, env);
  try {
    writeFileSync(file, text, { mode: 0o600 });
    const status = await new Promise<number | null>((resolve) => {
      const child = spawn("/bin/sh", ["-c", `${command} "$1"`, "sh", file], { stdio: "inherit", env });
      child.on("error", () => resolve(127));
      child.on("close", resolve);
    });
    if (status === 127) {
      const variable = program === "pager" ? "PAGER" : "EDITOR";
      return `${command} cannot be started; set ${variable} to a program that can`;
    }
    return null;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
