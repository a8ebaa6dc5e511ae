/**
 * Operations of which nobody recorded what they were on: whatever is missing from an object's life may be one of them.
 */
import type { ClassEntry, Effect } from "../../collectors/catalog/schema.js";
import { isAside, isNameless, type Operation } from "../decode/operation.js";

/** Of more of a kind, only the first ones and the last are remembered. */
const MOST = 64;
/** Kernel pointers of 64 bits are above it. */
const SHORT = 0xffff_ffffn;

type ByKind = Map<string, Operation[]>;

export class Nameless {
  readonly #byKind: ByKind = new Map();
  /** What is named by less than an address: `%p` prints a hash of 32 bits, `%x` the lower half. */
  readonly #shortened: ByKind = new Map();
  /** Classes whose objects are named by whole addresses: which of them something shortened means nobody can tell. */
  readonly #whole = new Set<ClassEntry>();

  note(operation: Operation): void {
    const { object } = operation;
    if (isNameless(operation)) remember(this.#byKind, operation);
    else if (typeof object !== "bigint") return;
    else if (object > SHORT) this.#whole.add(operation.class);
    else remember(this.#shortened, operation);
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
      const kind = kindOf(entry, effect, count ?? null);
      const found =
        within(this.#byKind.get(kind), from, to, mayBeAny) ??
        (this.#whole.has(entry) ? within(this.#shortened.get(kind), from, to, isDone) : null);
      if (found) return found;
    }
    return null;
  }
}

function remember(byKind: ByKind, operation: Operation): void {
  const kind = kindOf(operation.class, operation.effect, operation.count);
  const operations = byKind.get(kind) ?? [];
  byKind.set(kind, operations);
  if (operations.length < MOST) operations.push(operation);
  else operations[MOST - 1] = operation;
}

function within(
  operations: readonly Operation[] = [],
  from: bigint,
  to: bigint,
  counts: (operation: Operation) => boolean,
): Operation | null {
  const found = operations.find((operation, index) => {
    // Between the first ones and the last there may have been more.
    const earliest = index === MOST - 1 ? (operations[MOST - 2]?.event.time ?? 0n) : operation.event.time;
    const latest = operation.returned?.time ?? operation.event.time;
    return earliest <= to && latest >= from && counts(operation);
  });
  return found ?? null;
}

function kindOf({ class: name }: ClassEntry, effect: Effect, count: string | null): string {
  return count === null ? `${name}/${effect}` : `${name}/${effect} ${count}`;
}

/** An instruction inside the call may have told the object after all, or the call was refused. */
function mayBeAny(operation: Operation): boolean {
  return isDone(operation) && isNameless(operation);
}

function isDone({ outcome }: Operation): boolean {
  return outcome !== "refused";
}
