/** The recorder's side of its reaper. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { startTime } from "../processes.js";
import { Refusal } from "../refusal.js";

export class ReaperProcess {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #words: AsyncIterator<string>;
  readonly #ended: Promise<number | null>;

  private constructor(root: string) {
    const program = fileURLToPath(new URL("./reaper.js", import.meta.url));
    this.#child = spawn(process.execPath, [program, root], { detached: true, stdio: ["pipe", "pipe", "ignore"] });
    this.#child.stdin.on("error", () => {});
    this.#ended = new Promise((resolve) => {
      this.#child.on("error", () => resolve(null));
      this.#child.on("close", resolve);
    });
    this.#words = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Starts a reaper for a tracefs; it does nothing until it is told to hold. */
  static async start(root: string): Promise<ReaperProcess> {
    const reaper = new ReaperProcess(root);
    await reaper.#expect("ready");
    return reaper;
  }

  /** From now on it undoes the recording when this process ends. */
  async hold(): Promise<void> {
    this.#child.stdin.write("hold\n");
    await this.#expect("holding");
  }

  /** A tool that leads a process group of its own and must not outlive the recording. */
  watch(pid: number): void {
    const start = startTime(pid);
    if (start !== null) this.#child.stdin.write(`child ${pid} ${start}\n`);
  }

  /**
   * Has the recording undone now.
   * @returns what could not be undone; null when the reaper itself is gone.
   */
  async finish(): Promise<string[] | null> {
    this.#child.stdin.end();
    const problems: string[] = [];
    for (let word = await this.#words.next(); !word.done; word = await this.#words.next()) problems.push(word.value);
    const code = await this.#ended;
    return code === 0 || code === 1 ? problems : null;
  }

  async #expect(word: string): Promise<void> {
    const said = await this.#words.next();
    if (said.done || said.value !== word) {
      this.#child.stdin.end();
      throw new Refusal("the process that cleans up after a killed recording could not be started: nothing was armed");
    }
  }
}
