/** Values from one who makes them to one who takes them, at the taker's pace. */
export class Handover<T> {
  private waiting: T[] = [];
  private isOver = false;
  private failure: { error: unknown } | null = null;
  /** Tells the taker that there is something new. */
  private arrived: () => void = () => {};
  /** Tells the maker that all was taken. */
  private taken: () => void = () => {};

  /** Without waiting: for what is small and comes seldom. */
  add(value: T): void {
    this.waiting.push(value);
    this.arrived();
  }

  /** @returns, once all has been taken, whether more is wanted */
  async give(value: T): Promise<boolean> {
    const taken = new Promise<void>((resolve) => {
      this.taken = resolve;
    });
    this.add(value);
    if (!this.isOver) await taken;
    return !this.isOver;
  }

  end(): void {
    this.isOver = true;
    this.arrived();
    this.taken();
  }

  fail(error: unknown): void {
    this.failure = { error };
    this.end();
  }

  async *values(): AsyncGenerator<T> {
    for (;;) {
      const ready = this.waiting;
      this.waiting = [];
      yield* ready;
      if (this.waiting.length > 0) continue;
      this.taken();
      if (this.failure !== null) throw this.failure.error;
      if (this.isOver) return;
      await new Promise<void>((resolve) => {
        this.arrived = resolve;
        if (this.waiting.length > 0 || this.isOver) resolve();
      });
    }
  }
}
