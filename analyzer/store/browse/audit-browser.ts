/**
 * What a screen reads of an audit: by page and by index, so that it answers at once however large the audit is. Beside
 * `AuditView`, which reads whole lists.
 */
import type { Database } from "better-sqlite3";
import { AuditView } from "../audit-view.js";
import { type BalancePair, balanceTree } from "../balance.js";
import { text } from "../cells.js";
import { EventPages } from "./events.js";
import { Search } from "./find.js";
import { FindingPages } from "./findings.js";
import { ObjectPages } from "./objects.js";
import { OperationPages } from "./operations.js";
import { RecordingFacts } from "./recording.js";
import { RegistrationPages } from "./registrations.js";
import { Statements } from "./statements.js";

export class AuditBrowser {
  /** Whole lists: findings with their stories, coverage, sources. */
  readonly view: AuditView;
  readonly findings: FindingPages;
  readonly objects: ObjectPages;
  readonly operations: OperationPages;
  readonly registrations: RegistrationPages;
  readonly events: EventPages;
  readonly recording: RecordingFacts;
  readonly search: Search;
  /** The file that the audit is kept in. */
  readonly path: string;
  readonly #database: Database;
  readonly #rows: Statements;

  constructor(database: Database) {
    this.#database = database;
    this.path = database.name;
    this.view = new AuditView(database);
    const rows = new Statements(database);
    this.#rows = rows;
    this.recording = new RecordingFacts(rows);
    this.operations = new OperationPages(rows, this.recording);
    this.objects = new ObjectPages(rows, this.operations, this.recording);
    this.findings = new FindingPages(rows);
    this.registrations = new RegistrationPages(rows);
    this.events = new EventPages(rows);
    this.search = new Search(rows, this.objects, this.events);
  }

  /** Gets against puts by call site, of one object or of all. */
  balance(object: number | null): BalancePair[] {
    return balanceTree(this.#database, object);
  }

  /** Tables and views with their columns, for who writes SQL. */
  tables(): { name: string; columns: string[] }[] {
    return this.#rows
      .all(
        `SELECT s.name, group_concat(c.name, ',') AS columns FROM sqlite_schema s, pragma_table_info(s.name) c
       WHERE s.type IN ('table', 'view') AND s.name NOT LIKE 'sqlite%' GROUP BY s.name ORDER BY s.type DESC, s.rowid`,
      )
      .map((row) => ({ name: text(row.name), columns: text(row.columns).split(",") }));
  }
}
