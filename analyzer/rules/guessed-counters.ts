/**
 * Values that only their place suggests to be a counter's: whether they behave like one, never unused at a put, always
 * unused at a destruction.
 */
import type { ClassEntry } from "../../collectors/catalog/schema.js";
import type { Operation } from "../decode/operation.js";

/** More references than a virtual machine of any size has. */
const LIKELY_REFS = 10_000;

export class GuessedCounters {
  readonly #seen = new Map<string, { fitting: number; failed: boolean }>();

  note({ class: entry, effect, read }: Operation): void {
    if (read === null || !read.guess || (effect !== "put" && effect !== "destroy")) return;
    const seen = this.#seen.get(entry.class) ?? { fitting: 0, failed: false };
    this.#seen.set(entry.class, seen);
    const unused = entry.counter?.unused ?? 0;
    if (effect === "destroy" && read.value === unused) seen.fitting++;
    const fits = effect === "destroy" ? read.value === unused : read.value > unused && read.value <= LIKELY_REFS;
    if (!fits) seen.failed = true;
  }

  areLikely({ class: name }: ClassEntry): boolean {
    const seen = this.#seen.get(name);
    return seen !== undefined && seen.fitting > 0 && !seen.failed;
  }
}
