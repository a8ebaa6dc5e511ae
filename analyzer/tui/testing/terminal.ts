/**
 * A real terminal for tests: tmux. Nothing waits a fixed time; what is expected on the screen is looked for until it
 * is there, however loaded the machine.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { buildProgram } from "../../testing/program.js";
import { bundleTui } from "../bundle.js";

/** How long something may take to appear; milliseconds. */
const PATIENCE = 120_000;
const LOOK_EVERY = 100;

export interface Started {
  columns?: number;
  rows?: number;
  env?: Record<string, string>;
  /** Colour that the terminal says it has behind the text. */
  background?: string;
}

/** The terminals of one test file. */
export class Terminals {
  readonly folder = mkdtempSync(join(tmpdir(), "ktally-tmux-"));
  readonly #program: ReturnType<typeof buildProgram>;
  #count = 0;

  private constructor(program: ReturnType<typeof buildProgram>) {
    this.#program = program;
  }

  /** Builds the program as it is built for users. */
  static async open(): Promise<Terminals> {
    const program = buildProgram();
    await bundleTui(join(dirname(program.main), "..", "tui"));
    return new Terminals(program);
  }

  /** Starts `ktally ARGS` in a terminal of its own; when it has ended, the screen says `[ended N]`. */
  start(args: readonly string[], options: Started = {}): TestTerminal {
    const command = [process.execPath, this.#program.main, ...args].map(quoted).join(" ");
    return this.shell(`${command}; echo "[ended $?]"; exec cat`, options);
  }

  /** Starts a shell command in a terminal. */
  shell(command: string, { columns = 80, rows = 24, env = {}, background }: Started = {}): TestTerminal {
    const name = `t${++this.#count}`;
    const settings = { TERM: "tmux-256color", LANG: "C.UTF-8", ...env };
    const sets = Object.entries(settings).map(([key, value]) => `${key}=${quoted(value)}`);
    // What the machine of the test says of its own terminal must not change what is seen.
    const unset = ["NO_COLOR", "COLORTERM", "COLORFGBG", "PAGER", "EDITOR", "VISUAL", "STY"].map((key) => `-u ${key}`);
    const line = `exec env ${unset.join(" ")} ${sets.join(" ")} sh -c ${quoted(command)}`;
    const ground = ["set-option", "-g", "window-style", background === undefined ? "default" : `bg=${background}`, ";"];
    this.#tmux(
      "start-server",
      ";",
      ...ground,
      "new-session",
      "-d",
      "-s",
      name,
      "-x",
      String(columns),
      "-y",
      String(rows),
      line,
    );
    // Programs in it may fill its clipboard.
    this.#tmux("set-option", "-s", "set-clipboard", "on");
    return new TestTerminal(name, (...words) => this.#tmux(...words));
  }

  /** The command as a shell reads it. */
  commandLine(...args: string[]): string {
    return [process.execPath, this.#program.main, ...args].map(quoted).join(" ");
  }

  /** Another program of the build as a shell reads it. */
  programLine(path: string): string {
    return [process.execPath, join(dirname(this.#program.main), "..", "..", path)].map(quoted).join(" ");
  }

  close(): void {
    try {
      this.#tmux("kill-server");
    } catch {
      // It ended with its last session.
    }
    this.#program.remove();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #tmux(...words: string[]): string {
    const socket = join(this.folder, "socket");
    return execFileSync("tmux", ["-S", socket, "-f", "/dev/null", ...words], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, LANG: "C.UTF-8" },
    });
  }
}

export class TestTerminal {
  readonly #name: string;
  readonly #tmux: (...words: string[]) => string;

  constructor(name: string, tmux: (...words: string[]) => string) {
    this.#name = name;
    this.#tmux = tmux;
  }

  /** Presses keys by tmux's names (`Enter`, `C-c`, `j`). */
  press(...keys: string[]): void {
    this.#tmux("send-keys", "-t", this.#name, ...keys);
  }

  /** Types text as it is. */
  type(text: string): void {
    this.#tmux("send-keys", "-t", this.#name, "-l", text);
  }

  /** What stands on the screen. */
  screen(): string {
    return this.#tmux("capture-pane", "-p", "-t", this.#name);
  }

  /** The screen with its colours. */
  colours(): string {
    return this.#tmux("capture-pane", "-e", "-p", "-t", this.#name);
  }

  resize(columns: number, rows: number): void {
    this.#tmux("resize-window", "-t", this.#name, "-x", String(columns), "-y", String(rows));
  }

  /** A variable of tmux about the terminal, such as `alternate_on`. */
  fact(format: string): string {
    return this.#tmux("display-message", "-p", "-t", this.#name, `#{${format}}`).trim();
  }

  /** Process id of the program in front. */
  pid(): number {
    const shell = Number(this.fact("pane_pid"));
    return Number(readFileSync(`/proc/${shell}/task/${shell}/children`, "utf8").trim().split(" ").at(-1));
  }

  /** Command lines of running processes that hold these words. */
  processes(words: string): string[] {
    return readdirSync("/proc")
      .filter((entry) => /^\d+$/.test(entry))
      .map(commandLine)
      .filter((line) => line.includes(words));
  }

  /** Text that was copied to the terminal's clipboard last; empty when none was. */
  clipboard(): string {
    return this.#tmux("list-buffers") === "" ? "" : this.#tmux("show-buffer");
  }

  /** Waits until the screen shows all of these (and answers with it). */
  async shows(...expected: (string | RegExp)[]): Promise<string> {
    return this.until(`shows ${expected.join(" and ")}`, (screen) =>
      expected.every((wanted) => (typeof wanted === "string" ? screen.includes(wanted) : wanted.test(screen))),
    );
  }

  async until(what: string, isSo: (screen: string) => boolean): Promise<string> {
    const end = Date.now() + PATIENCE;
    for (;;) {
      const screen = this.screen();
      if (isSo(screen)) return screen;
      if (Date.now() > end) throw new Error(`the screen never ${what}:\n${screen}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
    }
  }
}

/** Empty for a process that is gone. */
function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return "";
  }
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
