/**
 * Operations of which nobody recorded what they were on: whatever is missing from an object's life may be one of them.
 */
import type { ClassEntry, Effect } from "../../collectors/catalog/schema.js";
import { isAside, isNameless, type Operation } from "../decode/operation.js";

/** Of more of a kind, only the first ones and the last are remembered. */
const MOST = 64;

export class Nameless {
  readonly #byKind = new Map<string, Operation[]>();

  note(operation: Operation): void {
    if (!isNameless(operation)) return;
    const kind = kindOf(operation.class, operation.effect, operation.count);
    const operations = this.#byKind.get(kind) ?? [];
    this.#byKind.set(kind, operations);
    if (operations.length < MOST) operations.push(operation);
    else operations[MOST - 1] = operation;
  }

  /** One of a class that took place, or may have, and is not on a plain count or pointer; null when there is none. */
  of({ class: name }: ClassEntry): Operation | null {
    for (const [kind, operations] of this.#byKind) {
      if (kind.slice(0, kind.indexOf("/")) !== name) continue;
      const found = operations.find((operation) => !isAside(operation) && mayBeAny(operation));
      if (found) return found;
    }
    return null;
  }

  /** One with an effect on a class (on a plain count of it) that may lie in a span of time; null when there is none. */
  between(entry: ClassEntry, effects: readonly Effect[], from: bigint, to: bigint, count?: string): Operation | null {
    for (const effect of effects) {
      const operations = this.#byKind.get(kindOf(entry, effect, count ?? null)) ?? [];
      const found = operations.find((operation, index) => {
        // Between the first ones and the last there may have been more.
        const earliest = index === MOST - 1 ? (operations[MOST - 2]?.event.time ?? 0n) : operation.event.time;
        const latest = operation.returned?.time ?? operation.event.time;
        return earliest <= to && latest >= from && mayBeAny(operation);
      });
      if (found) return found;
    }
    return null;
  }
}

function kindOf({ class: name }: ClassEntry, effect: Effect, count: string | null): string {
  return count === null ? `${name}/${effect}` : `${name}/${effect} ${count}`;
}

/** An instruction inside the call may have told the object after all, or the call was refused. */
function mayBeAny(operation: Operation): boolean {
  return operation.outcome !== "refused" && isNameless(operation);
}
