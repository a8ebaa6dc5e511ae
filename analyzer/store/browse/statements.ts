/** The statements of an audit that screens read by: each is prepared once. Integers come as bigint. */
import type { Database, Statement } from "better-sqlite3";
import type { Row } from "../cells.js";

export type Value = string | number | bigint | null;

export class Statements {
  readonly #database: Database;
  readonly #prepared = new Map<string, Statement>();

  constructor(database: Database) {
    this.#database = database;
  }

  get(sql: string, ...values: Value[]): Row | undefined {
    return this.#statement(sql).get(...values) as Row | undefined;
  }

  all(sql: string, ...values: Value[]): Row[] {
    return this.#statement(sql).all(...values) as Row[];
  }

  #statement(sql: string): Statement {
    let statement = this.#prepared.get(sql);
    if (!statement) {
      statement = this.#database.prepare(sql).safeIntegers();
      this.#prepared.set(sql, statement);
    }
    return statement;
  }
}
