import type { Diagnostic } from "./trace-event.js";

/** Findings of one kind that are told one by one; the others are only counted. */
const MAX_OF_A_KIND = 20;

/** Collects what was wrong with an input without drowning the reader in it. */
export class Notes {
  private readonly counts = new Map<string, number>();

  constructor(private readonly diagnostics: Diagnostic[]) {}

  /** @param offset Byte offset in the unwrapped file, null where there is none; `line` is 1-based. */
  warn(message: string, offset: number | null, line: number | null): void {
    const count = (this.counts.get(message) ?? 0) + 1;
    this.counts.set(message, count);
    if (count <= MAX_OF_A_KIND) this.diagnostics.push({ severity: "warning", offset, line, message });
  }

  /** To be called when the input has ended. */
  finish(): void {
    for (const [message, count] of this.counts) {
      if (count <= MAX_OF_A_KIND) continue;
      const more = `${count - MAX_OF_A_KIND} more: ${message}`;
      this.diagnostics.push({ severity: "warning", offset: null, line: null, message: more });
    }
  }
}
