/**
 * What a screen reads of an audit: by page and by index, so that it answers at once however large the audit is. Beside
 * `AuditView`, which reads whole lists.
 */
import type { Database, Statement } from "better-sqlite3";
import { AuditView } from "./audit-view.js";
import { big, number, numberOrNull, type Row, text, textOrNull, unsigned } from "./cells.js";

/** A finding without its story. */
export interface FindingHead {
  id: number;
  rule: string;
  variant: string;
  level: string;
  verdict: string;
  class: string;
  label: string;
  address: bigint | null;
  key: string | null;
  generation: number;
  consequence_of: number | null;
  fingerprint: string;
  title: string;
  culprit: string;
  /** Of its first event; null when it has none. */
  time_ns: bigint | null;
}

export class AuditBrowser {
  /** Whole lists: findings with their stories, coverage, sources. */
  readonly view: AuditView;
  readonly #database: Database;
  readonly #statements = new Map<string, Statement>();

  constructor(database: Database) {
    this.#database = database;
    this.view = new AuditView(database);
  }

  findingHeads(): FindingHead[] {
    return this.#all(
      `SELECT f.id, rule, variant, level, verdict, class, label, address, key, generation, consequence_of, fingerprint,
              title, culprit, e.time_ns
       FROM findings f LEFT JOIN evidence v ON v.finding = f.id AND v.seq = 0 LEFT JOIN events e ON e.id = v.event
       ORDER BY f.id`,
    ).map((row) => ({
      id: number(row.id),
      rule: text(row.rule),
      variant: text(row.variant),
      level: text(row.level),
      verdict: text(row.verdict),
      class: text(row.class),
      label: text(row.label),
      address: unsigned(row.address),
      key: textOrNull(row.key),
      generation: number(row.generation),
      consequence_of: numberOrNull(row.consequence_of),
      fingerprint: text(row.fingerprint),
      title: text(row.title),
      culprit: text(row.culprit),
      time_ns: big(row.time_ns),
    }));
  }

  #all(sql: string, ...values: (string | number | bigint | null)[]): Row[] {
    return this.#statement(sql).all(...values) as Row[];
  }

  #statement(sql: string): Statement {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#database.prepare(sql).safeIntegers();
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}
