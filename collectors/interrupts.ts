/** Ctrl-C and its like, for the time of a recording. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export class Interrupts {
  any = false;
  /** Resolves at the first one. */
  first!: Promise<void>;
  #handOn: ((signal: NodeJS.Signals) => void) | null = null;
  #resolve: () => void = () => {};
  readonly #listener = (signal: NodeJS.Signals) => {
    // A terminal has sent Ctrl-C to the command, too; it may need a second one all the same.
    if (signal !== "SIGINT" || this.any || process.stdin.isTTY !== true) this.#handOn?.(signal);
    this.any = true;
    this.#resolve();
  };

  /** `signal` ends a recording as Ctrl-C does. */
  constructor(signal: AbortSignal | undefined) {
    this.forget();
    signal?.addEventListener("abort", () => this.#listener("SIGTERM"));
    for (const name of SIGNALS) process.on(name, this.#listener);
  }

  /** What came so far was for the command, which has ended. */
  forget(): void {
    this.any = false;
    this.#handOn = null;
    this.first = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** Where to hand signals on to: the command. */
  handOn(to: (signal: NodeJS.Signals) => void): void {
    this.#handOn = to;
    if (this.any) to("SIGTERM");
  }

  close(): void {
    for (const name of SIGNALS) process.off(name, this.#listener);
  }
}
