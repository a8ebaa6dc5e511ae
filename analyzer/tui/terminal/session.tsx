/**
 * A terminal session: ink draws the application's pictures and reads its keys; other programs may come in between;
 * the terminal is given back however it ends.
 */
import { setTimeout } from "node:timers/promises";
import { type Instance, render } from "ink";
import { type App, bodyOf, type Deed } from "../app.js";
import { type Background, type Depth, themeFor } from "../drawing/theme.js";
import { Frame } from "../frame/frame.js";
import { backgroundIn, LATEST_ANSWER, mayAsk, PATIENCE, QUESTION } from "./background.js";
import { clipboardSequence } from "./clipboard.js";
import { showText } from "./external.js";
import { TerminalInput } from "./input.js";
import { Screen } from "./screen.js";

/** Signals that end a program; the exit status is 128 and their number. */
const ENDING = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 } as const;

export interface SessionOptions {
  app: App;
  depth: Depth;
  background: Background;
  /** Called on every turn of this many milliseconds, before drawing; for what comes in while one watches. */
  tick?: { every: number; run: () => void };
}

/**
 * Runs until the user quits or a signal comes. Whatever fails meanwhile, here or anywhere else in the process, is
 * thrown when the terminal is free for it.
 * @returns the exit status.
 */
export async function runSession(options: SessionOptions): Promise<number> {
  const session = new Session(options);
  const undo: (() => void)[] = [];
  const on = (emitter: NodeJS.EventEmitter, event: string, listener: (...words: never[]) => void) => {
    emitter.on(event, listener as () => void);
    undo.push(() => emitter.removeListener(event, listener as () => void));
  };
  for (const [signal, number] of Object.entries(ENDING)) on(process, signal, () => session.end(128 + number));
  on(process, "uncaughtException", (error: unknown) => session.fail(error));
  on(process, "exit", () => session.giveBack());
  // A terminal that is hung up fails writes; there is nobody left to tell.
  on(process.stdout, "error", () => session.end(128 + ENDING.SIGHUP));
  on(process.stdout, "resize", () => session.redraw());
  on(process, "SIGCONT", () => session.resume());
  const { tick } = options;
  if (tick) {
    const timer = setInterval(() => {
      tick.run();
      session.draw();
    }, tick.every);
    undo.push(() => clearInterval(timer));
  }
  try {
    await session.begin();
    return await session.ended;
  } finally {
    await session.close();
    for (const step of undo) step();
  }
}

class Session {
  readonly ended: Promise<number>;
  readonly #app: App;
  readonly #depth: Depth;
  #background: Background;
  readonly #screen = new Screen(process.stdout);
  readonly #input: TerminalInput;
  #ink: Instance | null = null;
  #isOther = false;
  #end: (status: number) => void = () => {};
  #fail: (error: unknown) => void = () => {};
  /** The terminal has answered what it was asked. */
  #answer: Promise<unknown> = Promise.resolve();
  #answered: () => void = () => {};

  constructor({ app, depth, background }: SessionOptions) {
    this.#app = app;
    this.#depth = depth;
    this.#background = background;
    this.#input = new TerminalInput(process.stdin, {
      mouse: (press) => this.#do(() => app.press(press.name, this.#screen.size, press.at)),
      paste: (text) => this.#do(() => app.paste(text)),
      answer: (sequence) => this.#hear(sequence),
      end: () => this.end(128 + ENDING.SIGHUP),
    });
    this.ended = new Promise((resolve, reject) => {
      this.#end = resolve;
      this.#fail = reject;
    });
    // Who waits for it comes after the first picture.
    this.ended.catch(() => {});
  }

  end(status: number): void {
    this.#end(status);
  }

  fail(error: unknown): void {
    this.#fail(error);
  }

  /** Takes the terminal and draws the first picture, in the terminal's own colours where it tells them in time. */
  async begin(): Promise<void> {
    this.#take();
    if (mayAsk(this.#depth, this.#background)) {
      this.#answer = new Promise<void>((resolve) => {
        this.#answered = resolve;
      });
      this.#screen.send(QUESTION);
    }
    // The screen reads what it shows while the terminal answers.
    this.#app.view.draw(bodyOf(this.#screen.size));
    await Promise.race([this.#answer, atMost(PATIENCE)]);
    this.#ink = render(this.#frame(), {
      stdout: this.#screen as unknown as NodeJS.WriteStream,
      stdin: this.#input as unknown as NodeJS.ReadStream,
      exitOnCtrlC: false,
      patchConsole: false,
      // ink hands over every frame whole and at once; what of it is written is the screen's to know.
      debug: true,
    });
    this.#ink.waitUntilExit().catch(this.#fail);
  }

  draw(): void {
    if (!this.#isOther) this.#ink?.rerender(this.#frame());
  }

  /** Draws everything, whatever stands on the terminal. */
  redraw(): void {
    this.#screen.forget();
    this.draw();
  }

  /** Leaves the terminal to others. */
  giveBack(): void {
    this.#screen.close();
    this.#input.close();
  }

  /** Goes on where it was stopped, whatever the terminal went through meanwhile. */
  resume(): void {
    if (this.#isOther) return;
    this.#input.close();
    this.#take();
    this.redraw();
  }

  /** Ends. An answer of the terminal that is still on its way must not become input of the shell's. */
  async close(): Promise<void> {
    this.#screen.close();
    this.#ink?.unmount();
    await Promise.race([this.#answer, atMost(LATEST_ANSWER)]);
    this.#input.close();
    process.stdin.unref();
  }

  #take(): void {
    this.#input.open();
    this.#screen.open();
  }

  #frame() {
    const { size } = this.#screen;
    this.#screen.cursor = this.#app.cursor(size);
    const theme = themeFor(this.#depth, this.#background);
    return <Frame app={this.#app} size={size} theme={theme} onKeys={(keys) => this.#press(keys)} />;
  }

  #hear(sequence: string): void {
    const background = backgroundIn(sequence);
    if (background === null) return;
    if (background === "unknown") this.#answered();
    else this.#background = background;
    this.draw();
  }

  #press(keys: readonly string[]): void {
    for (const key of keys) this.#do(() => this.#app.press(key, this.#screen.size), false);
    this.draw();
  }

  #do(act: () => Deed | null, draws = true): void {
    try {
      const deed = act();
      if (deed) this.#fulfil(deed);
    } catch (error) {
      this.#fail(error);
    }
    if (draws) this.draw();
  }

  #fulfil(deed: Deed): void {
    if (deed.kind === "quit") this.end(0);
    else if (deed.kind === "redraw") this.#screen.forget();
    else if (deed.kind === "suspend") this.#suspend();
    else if (deed.kind === "wait") void deed.until.then(() => this.draw());
    else if (deed.kind === "show") void this.#showElsewhere(deed.text, deed.with);
    else {
      this.#screen.send(clipboardSequence(deed.text, process.env));
      this.#app.say(`copied ${deed.what} (${deed.text.length} characters)`);
    }
  }

  #suspend(): void {
    this.giveBack();
    // Waiting for a signal alone does not keep Node running.
    const awake = setInterval(() => {}, 60_000);
    process.once("SIGCONT", () => clearInterval(awake));
    process.kill(process.pid, "SIGTSTP");
  }

  async #showElsewhere(text: string, program: "pager" | "editor"): Promise<void> {
    this.#isOther = true;
    this.giveBack();
    const problem = await showText(text, program, process.env);
    this.#isOther = false;
    this.#app.say(problem);
    this.#take();
    this.draw();
  }
}

/** Milliseconds to wait; nobody stays for them alone. */
function atMost(milliseconds: number): Promise<void> {
  return setTimeout(milliseconds, undefined, { ref: false });
}
