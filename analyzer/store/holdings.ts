/** Who holds what, as the audit knows it: the facts that `ktally why` answers from. */
import type { Database } from "better-sqlite3";
import { AuditView, type FindingView, type ObjectView } from "./audit-view.js";

/** Something that keeps an object from going away. */
export interface HolderView {
  /** objects.id; null where only the class is known. */
  object: number | null;
  class: string;
  /**
   * `file`: closing it lets go; `reference`: code took it; `creation`: what the object began with; `unseen`: only the
   * counter tells of it; `open`: a file told by its opening alone.
   */
  kind: string;
  what: string;
  count: number;
  /** Where it was taken. */
  call_site: string | null;
  tid: number | null;
  comm: string | null;
  since_ns: bigint | null;
  stack: string[];
  /** Where it is known from. */
  source: string;
}

/** An object with all that is known to concern its end. */
export interface Holding {
  object: ObjectView;
  holders: HolderView[];
  findings: FindingView[];
}

/** What somebody asks about. */
export type Subject = { text: string } | { tid: number };

/**
 * The objects that a subject means, newest lives first: an address, a module, a class, a label as reports print it, a
 * name that an event records, or what a task holds. `[]` when the audit knows none.
 */
export function findHoldings(database: Database, subject: Subject): Holding[] {
  const isTask = "tid" in subject;
  return holdingsOf(database, isTask ? heldByTask(database, subject.tid) : named(database, subject.text.trim()));
}

/** Findings about what is no object of its own: entries of tables, and objects of which only a call was seen. */
export function findFindings(database: Database, text: string): FindingView[] {
  return new AuditView(database)
    .findings()
    .filter(({ label, class: name, key }) => [label, name, key].includes(text) || label.startsWith(`${text} `));
}

/** Objects of some classes that are not known to be gone and that somebody holds. */
export function livingHoldings(database: Database, classes: readonly string[]): Holding[] {
  const alive = database.prepare("SELECT id FROM objects WHERE class = ? AND state = 'alive'").pluck();
  const ids = new Set(classes.flatMap((name) => alive.all(name) as number[]));
  return holdingsOf(database, ids).filter(({ holders, findings }) => holders.length > 0 || findings.length > 0);
}

function holdingsOf(database: Database, ids: ReadonlySet<number>): Holding[] {
  if (ids.size === 0) return [];
  const view = new AuditView(database);
  const findings = view.findings();
  const holders = allHolders(database, view);
  return [...view.objects()]
    .filter(({ id }) => ids.has(id))
    .reverse()
    .map((object) => ({
      object,
      holders: holders.filter((holder) => isOf(holder, object)),
      findings: findings.filter((finding) => isAbout(finding, object)),
    }));
}

function named(database: Database, text: string): Set<number> {
  const ids = (sql: string, ...values: unknown[]) =>
    database
      .prepare(sql)
      .pluck()
      .all(...values) as number[];
  const address = /\b0x([0-9a-f]{1,16})\b/i.exec(text) ?? /^([0-9a-f]{16})$/i.exec(text);
  if (address?.[1] !== undefined) {
    const value = BigInt.asIntN(64, BigInt(`0x${address[1]}`));
    const life = /, (\d+)(?:st|nd|rd|th) at this address/.exec(text)?.[1];
    const title = text.slice(0, address.index).trim();
    return new Set([
      ...ids(
        `SELECT id FROM objects WHERE address = ? AND (? IS NULL OR generation = ?) AND (? = '' OR label LIKE ? || '%')`,
        value,
        life ?? null,
        Number(life ?? 0),
        title,
        title,
      ),
    ]);
  }
  const found = [
    ...ids("SELECT id FROM objects WHERE class = ? AND state <> 'destroyed'", text),
    ...ids("SELECT id FROM objects WHERE name = ? OR label = ?", text, text),
  ];
  // A recording may name a device (`name=+0x...:string`): then its events' objects are meant.
  if (found.length === 0) {
    found.push(
      ...ids(
        "SELECT DISTINCT l.object FROM events e JOIN ledger l ON l.event = e.id WHERE ? IN (e.a0, e.a1, e.a2, e.a3)",
        text,
      ),
    );
  }
  return new Set(found);
}

function heldByTask(database: Database, tid: number): Set<number> {
  const sql = "SELECT DISTINCT object FROM holders WHERE tid = ? AND object IS NOT NULL";
  return new Set(database.prepare(sql).pluck().all(tid) as number[]);
}

function allHolders(database: Database, view: AuditView): HolderView[] {
  return (
    database
      .prepare(
        "SELECT h.*, s.name AS site FROM holders h LEFT JOIN call_sites s ON s.id = h.call_site ORDER BY since_ns",
      )
      .safeIntegers()
      .all() as Record<string, bigint | string | null>[]
  ).map((row) => ({
    object: row.object === null ? null : Number(row.object),
    class: String(row.class),
    kind: String(row.kind),
    what: String(row.what),
    count: Number(row.count),
    call_site: row.site as string | null,
    tid: row.tid === null ? null : Number(row.tid),
    comm: row.comm as string | null,
    since_ns: row.since_ns as bigint | null,
    stack: view.stack(row.stack === null ? null : Number(row.stack)),
    source: String(row.source),
  }));
}

/** A file whose object nobody recorded may be of any living object of its class. */
function isOf(holder: HolderView, object: ObjectView): boolean {
  if (holder.object !== null) return holder.object === object.id;
  return holder.class === object.class && object.state === "alive";
}

function isAbout(finding: FindingView, object: ObjectView): boolean {
  const sameName = finding.address === null ? finding.key === object.name : finding.address === object.address;
  return finding.class === object.class && finding.generation === object.generation && sameName;
}
