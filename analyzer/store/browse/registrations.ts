/** Entries of tables, by page. */
import type { FindingHead } from "../audit-view.js";
import { big, number, text, textOrNull, unsigned } from "../cells.js";
import type { Statements } from "./statements.js";

export interface RegistrationRow {
  id: number;
  class: string;
  /** Signed, as SQLite holds it. */
  key: bigint;
  generation: number;
  ops: bigint | null;
  /** `kvm_amd #2` */
  owner: string | null;
  registered_ns: bigint;
  unregistered_ns: bigint | null;
  end: string | null;
  isOrphaned: boolean;
  owner_began_ns: bigint | null;
  owner_ended_ns: bigint | null;
}

/** In the order in which they were made. */
export class RegistrationPages {
  readonly #rows: Statements;

  constructor(rows: Statements) {
    this.#rows = rows;
  }

  count(): number {
    return number(this.#rows.get("SELECT count(*) AS n FROM registrations")?.n);
  }

  /** Registrations in order. */
  page(offset: number, limit: number): RegistrationRow[] {
    return this.#rows.all("SELECT * FROM registrations ORDER BY id LIMIT ? OFFSET ?", limit, offset).map((row) => ({
      id: number(row.id),
      class: text(row.class),
      key: big(row.key) ?? 0n,
      generation: number(row.generation),
      ops: unsigned(row.ops),
      owner: textOrNull(row.owner),
      registered_ns: big(row.registered_ns) ?? 0n,
      unregistered_ns: big(row.unregistered_ns),
      end: textOrNull(row.end),
      isOrphaned: number(row.orphaned) === 1,
      owner_began_ns: big(row.owner_began_ns),
      owner_ended_ns: big(row.owner_ended_ns),
    }));
  }

  /** How many registrations come before this one. */
  index(id: number): number {
    return number(this.#rows.get("SELECT count(*) AS n FROM registrations WHERE id < ?", id)?.n);
  }

  /** The registration that a finding is about; null when it was not seen. */
  ofFinding({ class: name, key, address, generation }: FindingHead): number | null {
    const value = key === null || !/^-?\d+$|^0x[0-9a-f]+$/i.test(key) ? address : BigInt(key);
    if (value === null) return null;
    const row = this.#rows.get(
      "SELECT id FROM registrations WHERE class = ? AND key = ? AND generation = ?",
      name,
      BigInt.asIntN(64, value),
      generation,
    );
    return row ? number(row.id) : null;
  }

  /** The next registration that outlived its owner, or the first one; null when there is none. */
  nextOrphan(after: number): number | null {
    const row =
      this.#rows.get("SELECT id FROM registrations WHERE orphaned = 1 AND id > ? ORDER BY id LIMIT 1", after) ??
      this.#rows.get("SELECT id FROM registrations WHERE orphaned = 1 ORDER BY id LIMIT 1");
    return row ? number(row.id) : null;
  }
}
