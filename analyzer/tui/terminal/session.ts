/**
 * A terminal session: keys in, pictures out, other programs in between; and the terminal given back however it ends.
 */
import type { App, Deed } from "../app.js";
import type { Theme } from "../drawing/theme.js";
import { clipboardSequence } from "./clipboard.js";
import { showText } from "./external.js";
import { KeyDecoder } from "./keyboard.js";
import { Screen } from "./screen.js";

/** How long an escape may be the begin of a sequence; milliseconds. */
const ESCAPE_DELAY = 40;
/** Signals that end a program; the exit status is 128 and their number. */
const ENDING = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 } as const;

export interface SessionOptions {
  app: App;
  theme: Theme;
  /** Called on every turn of this many milliseconds, before drawing; for what comes in while one watches. */
  tick?: { every: number; run: () => void };
}

/** Runs until the user quits or a signal comes. @returns the exit status. */
export async function runSession({ app, theme, tick }: SessionOptions): Promise<number> {
  const { stdin, stdout } = process;
  const screen = new Screen(stdout, theme);
  const session = new Session(app, screen);
  const onExit = () => screen.close();
  process.once("exit", onExit);
  const onSignal = (signal: keyof typeof ENDING) => session.end(128 + ENDING[signal]);
  for (const signal of Object.keys(ENDING) as (keyof typeof ENDING)[]) process.on(signal, onSignal);
  // A terminal that is hung up fails writes; there is nobody left to tell.
  const onError = () => session.end(128 + ENDING.SIGHUP);
  stdout.on("error", onError);
  const onResize = () => {
    screen.forget();
    session.draw();
  };
  stdout.on("resize", onResize);
  const timer = tick
    ? setInterval(() => {
        tick.run();
        session.draw();
      }, tick.every)
    : null;
  session.begin();
  try {
    return await session.ended;
  } finally {
    if (timer) clearInterval(timer);
    session.stop();
    for (const signal of Object.keys(ENDING) as (keyof typeof ENDING)[]) process.removeListener(signal, onSignal);
    stdout.removeListener("resize", onResize);
    stdout.removeListener("error", onError);
    process.removeListener("exit", onExit);
    stdin.unref();
  }
}

class Session {
  readonly ended: Promise<number>;
  readonly #app: App;
  readonly #screen: Screen;
  readonly #decoder = new KeyDecoder();
  #escape: NodeJS.Timeout | null = null;
  #end: (status: number) => void = () => {};
  #fail: (error: unknown) => void = () => {};
  #isOther = false;

  constructor(app: App, screen: Screen) {
    this.#app = app;
    this.#screen = screen;
    this.ended = new Promise((resolve, reject) => {
      this.#end = resolve;
      this.#fail = reject;
    });
  }

  begin(): void {
    process.stdin.setRawMode(true);
    process.stdin.setEncoding("utf8");
    process.stdin.on("data", this.#onData);
    process.stdin.on("end", this.#onEnd);
    process.stdin.resume();
    this.#screen.open();
    this.draw();
  }

  /** Leaves the terminal to others. */
  stop(): void {
    this.#screen.close();
    if (this.#escape) clearTimeout(this.#escape);
    process.stdin.removeListener("data", this.#onData);
    process.stdin.removeListener("end", this.#onEnd);
    process.stdin.pause();
    try {
      process.stdin.setRawMode(false);
    } catch {
      // A terminal that is gone has no mode.
    }
  }

  end(status: number): void {
    this.#end(status);
  }

  draw(): void {
    if (this.#isOther) return;
    try {
      const { lines, cursor } = this.#app.draw(this.#screen.size);
      this.#screen.draw(lines, cursor);
    } catch (error) {
      this.#fail(error);
    }
  }

  readonly #onEnd = () => this.end(128 + ENDING.SIGHUP);

  readonly #onData = (text: string | Buffer) => {
    if (this.#escape) clearTimeout(this.#escape);
    this.#press(this.#decoder.decode(String(text)));
    if (!this.#decoder.isWaiting) return;
    this.#escape = setTimeout(() => this.#press(this.#decoder.flush()), ESCAPE_DELAY);
  };

  #press(keys: ReturnType<KeyDecoder["decode"]>): void {
    try {
      for (const key of keys) {
        const deed = this.#app.press(key, this.#screen.size);
        if (deed) this.#do(deed);
      }
    } catch (error) {
      this.#fail(error);
    }
    this.draw();
  }

  #do(deed: Deed): void {
    if (deed.kind === "quit") this.end(0);
    else if (deed.kind === "redraw") this.#screen.forget();
    else if (deed.kind === "suspend") this.#suspend();
    else if (deed.kind === "show") void this.#show(deed.text, deed.with);
    else {
      this.#screen.send(clipboardSequence(deed.text, process.env));
      this.#app.say(`copied ${deed.what} (${deed.text.length} characters)`);
    }
  }

  #suspend(): void {
    this.stop();
    // Waiting for a signal alone does not keep Node running.
    const awake = setInterval(() => {}, 60_000);
    process.once("SIGCONT", () => {
      clearInterval(awake);
      this.begin();
    });
    process.kill(process.pid, "SIGTSTP");
  }

  async #show(text: string, program: "pager" | "editor"): Promise<void> {
    this.#isOther = true;
    this.stop();
    const problem = await showText(text, program, process.env);
    this.#isOther = false;
    this.#app.say(problem);
    this.begin();
  }
}
