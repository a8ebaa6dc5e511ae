/**
 * SQL of a user's own in a process of its own, `ktally query`: however long it takes, the screen goes on, and it can be
 * stopped at any moment. SQLite cannot be interrupted from outside of its thread.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { Socket } from "node:net";
import { createInterface } from "node:readline";

export interface SqlResult {
  columns: string[];
  /** Cells as text; what a terminal would act on is made visible. */
  rows: string[][];
  /** There are more rows. */
  isCut: boolean;
}

export class QueryProcess {
  readonly #child: ChildProcess;
  readonly #onExit = () => this.stop();
  /** Rejected with a sentence when the SQL is wrong, or would write. */
  readonly result: Promise<SqlResult>;

  /** `most`: rows that are wanted; what comes after them is not waited for. */
  constructor(db: string, sql: string, most: number) {
    const program = process.argv[1] ?? "";
    this.#child = spawn(process.execPath, [program, "query", "--unfinished", db, sql], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    // Nobody waits for it who has left: it ends with us.
    process.once("exit", this.#onExit);
    this.#child.unref();
    this.result = this.#read(most);
  }

  stop(): void {
    this.#child.kill("SIGKILL");
  }

  async #read(most: number): Promise<SqlResult> {
    const { stdout, stderr } = this.#child;
    if (!(stdout instanceof Socket) || !(stderr instanceof Socket)) throw new Error("the query has no output");
    stdout.unref();
    stderr.unref();
    let problem = "";
    stderr.setEncoding("utf8").on("data", (text: string) => {
      problem += text;
    });
    const ended = new Promise<number | null>((resolve) => {
      this.#child.once("error", () => resolve(127));
      this.#child.once("close", resolve);
    });
    const result: SqlResult = { columns: [], rows: [], isCut: false };
    let isHead = true;
    for await (const line of createInterface({ input: stdout })) {
      if (isHead) result.columns = line.split("\t");
      else if (result.rows.length < most) result.rows.push(line.split("\t"));
      else {
        result.isCut = true;
        this.stop();
        break;
      }
      isHead = false;
    }
    const status = await ended;
    process.removeListener("exit", this.#onExit);
    if (status === 0 || result.isCut) return result;
    throw new Error(problem.trim().replace(/^ktally: /, "") || "it was stopped");
  }
}
