/** Entries in the kernel's tables: who registered what under which key, and what became of it. */
import { isErrorOf } from "../../collectors/catalog/errno.js";
import type { ClassEntry } from "../../collectors/catalog/schema.js";
import type { Operation } from "../decode/operation.js";
import type { Owner } from "./owners.js";

export interface Registration {
  id: number;
  class: ClassEntry;
  key: bigint;
  /** n-th entry under this key, 1-based. */
  generation: number;
  ops: bigint | null;
  owner: Owner | null;
  registered: Operation;
  /** The register's result is known to be success. */
  confirmed: boolean;
  unregistered: Operation | null;
  /** How it ended, if not by an unregister. */
  end: "unregistered" | "home-gone" | "superseded" | null;
  /** Set once the owner has ended while the entry was still there. */
  orphaned: Owner | null;
  /** Its owner is told by its address only: no other module that was unloaded can have been there. */
  ownerGuessed: boolean;
  /** A later register of the key of which nobody knows whether it was refused. */
  doubtedBy: Operation | null;
}

/** A register that returned an error. */
export interface Refusal {
  operation: Operation;
  /** The entry known to be in the way; null when its register was not seen. */
  holder: Registration | null;
  owner: Owner | null;
  /** The error is the one by which the table refuses a key that it has already. */
  duplicate: boolean;
  /** Another instance or load than the refused one is known to be up and may hold the entry by right. */
  otherOwnerUp: boolean;
  /** The owner has registered this key before, in the same life. */
  ownerHadRegistered: boolean;
}

/** An unregister of a key that the table, as far as seen, did not have. */
export interface Unmatched {
  operation: Operation;
  owner: Owner | null;
  /** This owner's own register of the key had failed. */
  failedBefore: Operation | null;
  /** The table was seen from its home's load on, so an unseen register is out of the question (but for loss). */
  tableKnown: boolean;
}

/** More keys than any table has; bounds memory on hostile input. */
const MAX_KEYS = 65_536;
/** More than a module registers. */
const MAX_KEYS_OF_OWNER = 256;

export class Registrations {
  readonly #tables = new Map<string, Map<bigint, Registration>>();
  readonly #generations = new Map<string, number>();
  /** Failed registers by owner, to know an unregister that follows them. */
  #failed: { operation: Operation; owner: Owner | null }[] = [];
  /** What an owner has registered with success, one register for each key. */
  readonly #successes = new WeakMap<Owner, Set<Operation>>();
  /** Entries in a table, by their owner. */
  readonly #owned = new Map<Owner, Set<Registration>>();
  #lastId = 0;

  live(entry: ClassEntry, key: bigint): Registration | null {
    return this.#tables.get(entry.class)?.get(key) ?? null;
  }

  /** The entry that has what an operation's key may not share with it; null when there is none. */
  sharing({ class: entry, key, exclusive }: Operation): Registration | null {
    if (exclusive === null || exclusive === 0n) return null;
    for (const other of this.#tables.get(entry.class)?.values() ?? []) {
      if (other.key !== key && other.registered.exclusive === exclusive) return other;
    }
    return null;
  }

  *all(): Generator<Registration> {
    for (const table of this.#tables.values()) yield* table.values();
  }

  /** A register succeeded. Returns the entry and the one it displaced, whose unregister was not seen. */
  register(operation: Operation, owner: Owner | null): { entry: Registration; before: Registration | null } | null {
    if (operation.key === null) {
      this.#succeed(operation, owner);
      return null;
    }
    const table = this.#table(operation.class);
    const before = table.get(operation.key) ?? null;
    if (before?.registered === operation) {
      // Taken in without its result, which has come now.
      before.confirmed = operation.outcome === "done";
      return null;
    }
    if (before && operation.outcome === "unknown") {
      before.doubtedBy ??= operation;
      return null;
    }
    if (before) {
      before.end = "superseded";
      this.#drop(before);
    }
    this.#failed = this.#failed.filter((failure) => !isOf(failure, operation, owner));
    const name = `${operation.class.class}/${operation.key}`;
    const generation = (this.#generations.get(name) ?? 0) + 1;
    if (this.#generations.size >= MAX_KEYS) this.#generations.clear();
    this.#generations.set(name, generation);
    const entry: Registration = {
      id: ++this.#lastId,
      class: operation.class,
      key: operation.key,
      generation,
      ops: operation.ops,
      owner,
      registered: operation,
      confirmed: operation.outcome === "done",
      unregistered: null,
      end: null,
      orphaned: null,
      ownerGuessed: false,
      doubtedBy: null,
    };
    table.set(operation.key, entry);
    if (owner) {
      const owned = this.#owned.get(owner) ?? new Set();
      this.#owned.set(owner, owned.add(entry));
    }
    this.#succeed(operation, owner);
    return { entry, before };
  }

  /** A register was refused; `others` are owners of its kind that are up besides its own. */
  refuse(operation: Operation, owner: Owner | null, others: readonly Owner[]): Refusal {
    const mistaken = operation.key === null ? null : this.live(operation.class, operation.key);
    // Taken in before its result was known.
    if (mistaken?.registered === operation) this.#drop(mistaken);
    if (owner) this.#successes.get(owner)?.delete(operation);
    this.#failed.push({ operation, owner });
    if (this.#failed.length > 256) this.#failed.shift();
    const errors = operation.class.table?.duplicate_errors ?? [];
    const holder = operation.key === null ? null : this.live(operation.class, operation.key);
    const own = [...(owner ? (this.#successes.get(owner) ?? []) : [])];
    return {
      operation,
      holder,
      owner,
      duplicate: operation.result !== null && isErrorOf(operation.result, errors),
      otherOwnerUp: others.length > 0,
      ownerHadRegistered: own.some((earlier) => mayBeSameKey(earlier, operation)),
    };
  }

  /** An unregister took place. Returns the entry that it ended, or why it matched none. */
  unregister(operation: Operation, owner: Owner | null, tableKnown: boolean): Registration | Unmatched | null {
    if (operation.key === null) return null;
    const entry = this.live(operation.class, operation.key);
    if (entry) {
      this.#drop(entry);
      entry.unregistered = operation;
      entry.end = "unregistered";
      return entry;
    }
    const failed = this.#failed.find((failure) => isOf(failure, operation, owner));
    return { operation, owner, failedBefore: failed?.operation ?? null, tableKnown };
  }

  /** The owner has ended: its entries that are still there are orphans from now on, or go with it. */
  ownerEnded(owner: Owner): Registration[] {
    const owned = [...(this.#owned.get(owner) ?? [])].filter((entry) => !entry.orphaned);
    this.#owned.delete(owner);
    return owned.filter((entry) => {
      if (entry.class.table?.owner_end === "legal") {
        entry.end = "home-gone";
        this.#drop(entry);
        return false;
      }
      entry.orphaned = owner;
      return true;
    });
  }

  /** The module that holds the table is gone, and the entries with it. */
  homeEnded(module: string): Registration[] {
    const gone = [...this.all()].filter((entry) => entry.class.table?.home === module);
    for (const entry of gone) {
      entry.end = "home-gone";
      this.#drop(entry);
    }
    return gone;
  }

  #succeed(operation: Operation, owner: Owner | null): void {
    if (owner === null) return;
    const own = this.#successes.get(owner) ?? new Set();
    this.#successes.set(owner, own);
    const isKnown = [...own].some(({ class: entry, key }) => entry === operation.class && key === operation.key);
    if (!isKnown && own.size < MAX_KEYS_OF_OWNER) own.add(operation);
  }

  /** Takes an entry out of its table. */
  #drop(entry: Registration): void {
    this.#table(entry.class).delete(entry.key);
    if (entry.owner) this.#owned.get(entry.owner)?.delete(entry);
  }

  #table(entry: ClassEntry): Map<bigint, Registration> {
    let table = this.#tables.get(entry.class);
    if (!table) {
      table = new Map();
      this.#tables.set(entry.class, table);
    }
    return table;
  }
}

/** A key that is not recorded may be any. */
function mayBeSameKey(a: Operation, b: Operation): boolean {
  return a.class === b.class && (a.key === b.key || a.key === null || b.key === null);
}

/** Whether a failed register was for the same key and by the same owner. */
function isOf(
  failure: { operation: Operation; owner: Owner | null },
  operation: Operation,
  owner: Owner | null,
): boolean {
  const { class: entry, key } = failure.operation;
  return entry === operation.class && key === operation.key && failure.owner === owner;
}
