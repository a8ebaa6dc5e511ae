/** Whether values that were recorded as a counter's behave like one. */
import type { ClassEntry } from "../../collectors/catalog/schema.js";
import type { Operation } from "../decode/operation.js";
import type { Reason } from "../lifecycle/reason.js";

/** More references than a virtual machine of any size has. */
const LIKELY_REFS = 10_000;

/** More than is open or pinned of anything that closes at all. */
const LIKELY_COUNT = 1_000_000;

/** Values read as a counter's, or a plain count's: a field at a wrong offset counts nothing, whatever is done. */
export class ReadCounters {
  readonly #seen = new Map<string, { counts: boolean; first: Operation }>();

  note(operation: Operation): void {
    const { class: entry, count, read } = operation;
    if (read === null || read.guess) return;
    const slot = slotOf(entry, count);
    const seen = this.#seen.get(slot) ?? { counts: false, first: operation };
    this.#seen.set(slot, seen);
    const [unused, most] = count === null ? [entry.counter?.unused ?? 0, LIKELY_REFS] : [0, LIKELY_COUNT];
    seen.counts ||= read.value > unused && read.value <= most;
  }

  /** Why a value of the class's counter (of that count of it) proves nothing; null where others count. */
  doubt(entry: ClassEntry, count: string | null = null): Reason | null {
    const seen = this.#seen.get(slotOf(entry, count));
    if (!seen || seen.counts) return null;
    const text = "no value that was read counts anything: they may be of another field";
    return { code: "no-values", text, probe: seen.first.event.probe.name };
  }
}

function slotOf({ class: name }: ClassEntry, count: string | null): string {
  return count === null ? name : `${name}/${count}`;
}

/**
 * Values that only their place suggests to be a counter's: they are one's if they are never unused at a put, always
 * unused at a destruction.
 */
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
