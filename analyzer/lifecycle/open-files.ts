/**
 * Files, and what counts like them, that are open at the end: told by their own opening and closing, where no reference
 * shows them. The task tells which one is closed, else their order.
 */
import type { ClassEntry } from "../../collectors/catalog/schema.js";
import type { Operation } from "../decode/operation.js";
import type { Observer } from "./world.js";

export interface OpenFile {
  class: ClassEntry;
  /** `vCPU file`, or what the class counts: `open files`. */
  what: string;
  opened: Operation;
}

/** More of one kind than anybody has open; of more the oldest are forgotten. */
const MOST_OPEN = 4096;

export class OpenFiles implements Observer {
  readonly #open = new Map<string, OpenFile[]>();

  holder(operation: Operation): void {
    if (operation.holder !== null) this.#note(operation, operation.holder);
  }

  aside(operation: Operation): void {
    const count = operation.count === null ? undefined : operation.class.counts[operation.count];
    if (count) this.#note(operation, count.title);
  }

  /** What is open, in order of time; call when the audit is over. */
  all(): OpenFile[] {
    return [...this.#open.values()]
      .flat()
      .filter(({ opened }) => opened.outcome !== "refused")
      .sort((a, b) => a.opened.event.id - b.opened.event.id);
  }

  #note(operation: Operation, what: string): void {
    if (operation.outcome === "refused") return;
    const key = `${operation.class.class}/${what}`;
    const files = this.#open.get(key) ?? [];
    this.#open.set(key, files);
    if (operation.effect === "open") {
      if (files.length >= MOST_OPEN) files.shift();
      files.push({ class: operation.class, what, opened: operation });
    } else if (operation.effect === "close") {
      const best = closedBy(operation, files);
      if (best) files.splice(files.indexOf(best), 1);
    }
  }
}

/** The one that a close most likely means: of its object, if that is known; then of its task; then the oldest. */
function closedBy(close: Operation, files: readonly OpenFile[]): OpenFile | undefined {
  const { object, event } = close;
  const possible = files.filter(
    ({ opened }) =>
      opened.outcome !== "refused" && (object === null || opened.object === null || opened.object === object),
  );
  return (
    possible.find(({ opened }) => opened.object === object && opened.event.tid === event.tid) ??
    possible.find(({ opened }) => opened.event.tid === event.tid) ??
    possible.find(({ opened }) => opened.object === object) ??
    possible[0]
  );
}
