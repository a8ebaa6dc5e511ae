/** Entries in the kernel's tables: who registered what under which key, and what became of it. */
import { ERRNO } from "../../collectors/catalog/errno.js";
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

export class Registrations {
  readonly #tables = new Map<string, Map<bigint, Registration>>();
  readonly #generations = new Map<string, number>();
  /** Failed registers by owner, to know an unregister that follows them. */
  #failed: { operation: Operation; owner: Owner | null }[] = [];
  /** Keys that an owner has registered with success. */
  readonly #successes = new Map<Owner, Set<string>>();
  #lastId = 0;

  live(entry: ClassEntry, key: bigint): Registration | null {
    return this.#tables.get(entry.class)?.get(key) ?? null;
  }

  *all(): Generator<Registration> {
    for (const table of this.#tables.values()) yield* table.values();
  }

  /** A register succeeded. Returns the entry and the one it displaced, whose unregister was not seen. */
  register(operation: Operation, owner: Owner | null): { entry: Registration; before: Registration | null } | null {
    if (operation.key === null) return null;
    const table = this.#table(operation.class);
    const before = table.get(operation.key) ?? null;
    if (before?.registered === operation) {
      // Taken in without its result, which has come now.
      before.confirmed = operation.outcome === "done";
      return null;
    }
    if (before) before.end = "superseded";
    this.#failed = this.#failed.filter((failure) => !isOf(failure, operation, owner));
    const name = `${operation.class.class}/${operation.key}`;
    const generation = (this.#generations.get(name) ?? 0) + 1;
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
    };
    table.set(operation.key, entry);
    if (owner) {
      const keys = this.#successes.get(owner) ?? new Set();
      keys.add(name);
      this.#successes.set(owner, keys);
    }
    return { entry, before };
  }

  /** A register was refused; `others` are owners of its kind that are up besides its own. */
  refuse(operation: Operation, owner: Owner | null, others: readonly Owner[]): Refusal {
    const mistaken = operation.key === null ? null : this.live(operation.class, operation.key);
    // Taken in before its result was known.
    if (mistaken?.registered === operation) {
      this.#table(operation.class).delete(mistaken.key);
      if (owner) this.#successes.get(owner)?.delete(`${operation.class.class}/${operation.key}`);
    }
    this.#failed.push({ operation, owner });
    if (this.#failed.length > 256) this.#failed.shift();
    const errors = (operation.class.table?.duplicate_errors ?? []).map((name) => -(ERRNO[name] ?? 0));
    const holder = operation.key === null ? null : this.live(operation.class, operation.key);
    const name = `${operation.class.class}/${operation.key}`;
    return {
      operation,
      holder,
      owner,
      duplicate: operation.result !== null && errors.includes(operation.result),
      otherOwnerUp: others.length > 0,
      ownerHadRegistered: owner !== null && this.#successes.get(owner)?.has(name) === true,
    };
  }

  /** An unregister took place. Returns the entry that it ended, or why it matched none. */
  unregister(operation: Operation, owner: Owner | null, tableKnown: boolean): Registration | Unmatched | null {
    if (operation.key === null) return null;
    const table = this.#table(operation.class);
    const entry = table.get(operation.key);
    if (entry) {
      table.delete(operation.key);
      entry.unregistered = operation;
      entry.end = "unregistered";
      return entry;
    }
    const failed = this.#failed.find((failure) => isOf(failure, operation, owner));
    return { operation, owner, failedBefore: failed?.operation ?? null, tableKnown };
  }

  /** The owner has ended: its entries that are still there are orphans from now on. */
  ownerEnded(owner: Owner): Registration[] {
    const orphans: Registration[] = [];
    for (const entry of this.all()) {
      if (entry.owner !== owner || entry.orphaned) continue;
      entry.orphaned = owner;
      orphans.push(entry);
    }
    return orphans;
  }

  /** The module that holds the table is gone, and the entries with it. */
  homeEnded(module: string): Registration[] {
    const gone: Registration[] = [];
    for (const table of this.#tables.values()) {
      for (const entry of table.values()) {
        if (entry.class.table?.home !== module) continue;
        entry.end = "home-gone";
        gone.push(entry);
        table.delete(entry.key);
      }
    }
    return gone;
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

/** Whether a failed register was for the same key and by the same owner. */
function isOf(
  failure: { operation: Operation; owner: Owner | null },
  operation: Operation,
  owner: Owner | null,
): boolean {
  const { class: entry, key } = failure.operation;
  return entry === operation.class && key === operation.key && failure.owner === owner;
}
