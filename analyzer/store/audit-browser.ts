/**
 * What a screen reads of an audit: by page and by index, so that it answers at once however large the audit is. Beside
 * `AuditView`, which reads whole lists.
 */
import type { Database, Statement } from "better-sqlite3";
import { AuditView, type ObjectView, objectOf } from "./audit-view.js";
import { type BalancePair, balanceTree } from "./balance.js";
import { big, number, numberOrNull, type Row, text, textOrNull, unsigned } from "./cells.js";
import { runQuery } from "./query.js";

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

export interface ObjectHead extends ObjectView {
  /** Every value read fits the operations seen. */
  exact: boolean;
}

/** One operation on an object. */
export interface OperationRow {
  event: number;
  time_ns: bigint;
  cpu: number;
  tid: number;
  comm: string;
  function: string;
  /** An instruction inside the function. */
  isSite: boolean;
  effect: string;
  delta: number;
  /** Counter before the operation, where it was read. */
  refs: number | null;
  outcome: string;
  result: number | null;
  stack: number | null;
}

export interface CounterRow {
  time_ns: bigint;
  /** 0 for an operation that was refused. */
  delta: number;
  refs: number | null;
}

export interface LossRow {
  code: string;
  /** null: any. */
  cpu: number | null;
  from_ns: bigint | null;
  to_ns: bigint | null;
  /** null: nobody counted. */
  lost: number | null;
}

/** What a finding says of one event. */
export interface NoteRow {
  event: number;
  time_ns: bigint;
  note: string;
  finding: number;
  rule: string;
  isCulprit: boolean;
}

export interface ClassCount {
  class: string;
  count: number;
}

export interface LifeRow extends ObjectHead {
  /** Its creation, or the first operation that was seen. */
  from_ns: bigint;
  /** Its destruction, or the last operation that was seen. */
  to_ns: bigint;
}

export interface CpuRow {
  cpu: number;
  first_ns: bigint;
  last_ns: bigint;
}

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

/** An object that is alive at a moment. */
export interface LiveObject {
  id: number;
  label: string;
  since_ns: bigint;
  /** null: not known. */
  refs: number | null;
  /** What happened to it last. */
  last: string | null;
}

/** Whose events: a task's or a probe's. */
export type EventsOf = { tid: number } | { probe: number };

/** Something that was looked for. */
export type Hit = { text: string; more: string } & (
  | { kind: "object"; id: number }
  | { kind: "task"; tid: number }
  | { kind: "probe"; probe: number }
);

export interface EventRow {
  id: number;
  time_ns: bigint;
  cpu: number;
  tid: number;
  comm: string;
  /** Of the event. */
  name: string;
  /** Function and offset that it probes. */
  place: string | null;
  values: { name: string; value: string }[];
  stack: number | null;
}

export interface SqlResult {
  columns: string[];
  rows: string[][];
  /** There are more rows. */
  isCut: boolean;
}

/** At a moment; one that was replaced is gone, too, only nobody saw when. */
const ALIVE =
  "coalesce(o.created_ns, 0) <= ? AND (o.destroyed_ns IS NULL OR o.destroyed_ns > ?) AND o.state <> 'replaced'";
/** Objects that are looked through for a part of an address. */
const LOOKED_THROUGH = 100_000;
const MOST_THREADS = 20_000;
/** How long rows of a user's own SQL are waited for; milliseconds. */
const SQL_PATIENCE = 5_000;

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

  /** One object; null when there is none of this number. */
  object(id: number): ObjectHead | null {
    const row = this.#get("SELECT * FROM objects WHERE id = ?", id);
    return row ? objectHead(row) : null;
  }

  /** The object that a finding is about; null for an entry of a table, which has no life of its own. */
  objectOf({ class: name, address, label, generation }: FindingHead): ObjectHead | null {
    const row =
      address === null
        ? this.#get(
            "SELECT * FROM objects WHERE class = ? AND address IS NULL AND label = ? AND generation = ?",
            name,
            label,
            generation,
          )
        : this.#get(
            "SELECT * FROM objects WHERE class = ? AND address = ? AND generation = ?",
            name,
            BigInt.asIntN(64, address),
            generation,
          );
    return row ? objectHead(row) : null;
  }

  /** The event that a finding blames, or else its last one. */
  eventOf(finding: number): number | null {
    const row = this.#get(
      `SELECT coalesce(f.culprit_event, (SELECT event FROM evidence WHERE finding = f.id ORDER BY seq DESC LIMIT 1)) AS event
       FROM findings f WHERE f.id = ?`,
      finding,
    );
    return numberOrNull(row?.event);
  }

  operationCount(object: number): number {
    return number(this.#get("SELECT count(*) AS n FROM ledger WHERE object = ?", object)?.n);
  }

  /** Operations on an object in order. */
  operations(object: number, offset: number, limit: number): OperationRow[] {
    return this.#all(
      `WITH page AS (SELECT rowid AS id, event FROM ledger WHERE object = ? ORDER BY event LIMIT ? OFFSET ?)
       SELECT l.event, e.time_ns, e.cpu, e.tid, t.comm, k.function, k.site, k.effect, k.delta, l.refs, l.outcome,
              l.result, e.stack
       FROM page JOIN ledger l ON l.rowid = page.id JOIN operations k ON k.id = l.operation
       JOIN events e ON e.id = l.event JOIN tasks t ON t.id = e.task ORDER BY page.event, page.id`,
      object,
      limit,
      offset,
    ).map((row) => ({
      event: number(row.event),
      time_ns: big(row.time_ns) ?? 0n,
      cpu: number(row.cpu),
      tid: number(row.tid),
      comm: text(row.comm),
      function: text(row.function),
      isSite: number(row.site) === 1,
      effect: text(row.effect),
      delta: number(row.delta),
      refs: numberOrNull(row.refs),
      outcome: text(row.outcome),
      result: numberOrNull(row.result),
      stack: numberOrNull(row.stack),
    }));
  }

  /** How many operations on the object come before an event: its place in `operations`. */
  operationIndex(object: number, event: number): number {
    return number(this.#get("SELECT count(*) AS n FROM ledger WHERE object = ? AND event < ?", object, event)?.n);
  }

  /** Time of the first operation on an object, and of the last one. */
  operationSpan(object: number): { first: bigint; last: bigint } | null {
    const time = (order: "ASC" | "DESC") =>
      this.#get(
        `SELECT e.time_ns FROM ledger l JOIN events e ON e.id = l.event WHERE l.object = ? ORDER BY l.event ${order} LIMIT 1`,
        object,
      )?.time_ns;
    const first = big(time("ASC"));
    const last = big(time("DESC"));
    return first === null || last === null ? null : { first, last };
  }

  /**
   * What changed an object's counter between two times, thinned out to about `most` steps: every step of a short span,
   * else the steps that come first in equal parts of it.
   */
  counterSteps(object: number, from: bigint, to: bigint, most: number): { steps: CounterRow[]; isThinned: boolean } {
    const first = this.#eventAt(from);
    const last = this.#eventAt(to + 1n);
    const steps = this.#counterRows(object, first, last, most);
    if (steps.length < most) return { steps, isThinned: false };
    const parts = Math.max(1, Math.floor(most / 8));
    const thinned: CounterRow[] = [];
    let begin = first;
    for (let part = 1; part <= parts; part++) {
      const end = first + Math.floor(((last - first) * part) / parts);
      thinned.push(...this.#counterRows(object, begin, end, 4));
      begin = end;
    }
    return { steps: thinned, isThinned: true };
  }

  #counterRows(object: number, from: number, to: number, limit: number): CounterRow[] {
    return this.#all(
      `SELECT e.time_ns, k.delta, l.refs, l.outcome FROM ledger l JOIN operations k ON k.id = l.operation
       JOIN events e ON e.id = l.event
       WHERE l.object = ? AND l.event >= ? AND l.event < ? ORDER BY l.event, l.rowid LIMIT ?`,
      object,
      from,
      to,
      limit,
    ).map(counterRow);
  }

  /** The first event at or after a time; one more than the last when there is none. Events are in order of time. */
  #eventAt(time: bigint): number {
    let low = 1;
    let high = number(this.#get("SELECT max(id) AS n FROM events")?.n) + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const row = this.#get("SELECT id, time_ns FROM events WHERE id >= ? ORDER BY id LIMIT 1", middle);
      if (row && (big(row.time_ns) ?? 0n) < time) low = number(row.id) + 1;
      else high = middle;
    }
    return low;
  }

  /** Losses that overlap a span, in order of their begin. */
  losses(from: bigint, to: bigint, limit: number): LossRow[] {
    return this.#all(
      `SELECT code, cpu, from_ns, to_ns, lost FROM gaps WHERE coalesce(from_ns, ?) <= ? AND coalesce(to_ns, ?) >= ?
       ORDER BY from_ns LIMIT ?`,
      from,
      to,
      to,
      from,
      limit,
    ).map((row) => ({
      code: text(row.code),
      cpu: numberOrNull(row.cpu),
      from_ns: big(row.from_ns),
      to_ns: big(row.to_ns),
      lost: numberOrNull(row.lost),
    }));
  }

  /** Events that findings about an object rest on, with what they say of them. */
  notesOn(object: ObjectHead): NoteRow[] {
    return this.#all(
      `SELECT v.event, v.note, e.time_ns, f.id AS finding, f.culprit_event, f.rule FROM findings f
       JOIN evidence v ON v.finding = f.id JOIN events e ON e.id = v.event
       WHERE f.class = ? AND f.generation = ? AND (f.address IS ? OR (f.address IS NULL AND f.label = ?))
       ORDER BY v.event`,
      object.class,
      object.generation,
      object.address === null ? null : BigInt.asIntN(64, object.address),
      object.label,
    ).map((row) => ({
      event: number(row.event),
      time_ns: big(row.time_ns) ?? 0n,
      note: text(row.note),
      finding: number(row.finding),
      rule: text(row.rule),
      isCulprit: row.event === row.culprit_event,
    }));
  }

  /** Symbols of a stack, innermost first. */
  stack(id: number | null): string[] {
    return this.view.stack(id);
  }

  /** The last thing that happened to an object's counter before a time: none, or one step. */
  counterBefore(object: number, time: bigint): CounterRow[] {
    return this.#all(
      `SELECT e.time_ns, k.delta, l.refs, l.outcome FROM ledger l JOIN operations k ON k.id = l.operation
       JOIN events e ON e.id = l.event WHERE l.object = ? AND l.event < ? ORDER BY l.event DESC, l.rowid DESC LIMIT 1`,
      object,
      this.#eventAt(time),
    ).map(counterRow);
  }

  /** How many operations on the object come before a time. */
  operationIndexAt(object: number, time: bigint): number {
    return this.operationIndex(object, this.#eventAt(time));
  }

  /** Classes of which objects were seen, and how many. */
  objectCounts(): ClassCount[] {
    return this.#all("SELECT class, count(*) AS n FROM objects GROUP BY class ORDER BY class").map((row) => ({
      class: text(row.class),
      count: number(row.n),
    }));
  }

  /** Objects of a class in the order in which they were met first, with the times between which they were seen. */
  lives(name: string, offset: number, limit: number, count: number): LifeRow[] {
    // From the nearer end: skipping rows costs, too.
    const isFar = offset > count / 2;
    const last = Math.max(0, count - offset - limit);
    const taken = Math.min(limit, count - offset);
    const rows = this.#all(
      `SELECT * FROM objects WHERE id IN
         (SELECT id FROM objects WHERE class = ? ORDER BY id ${isFar ? "DESC" : "ASC"} LIMIT ? OFFSET ?) ORDER BY id`,
      name,
      Math.max(0, taken),
      isFar ? last : offset,
    );
    return rows.map((row) => {
      const head = objectHead(row);
      const span = head.created_ns !== null && head.destroyed_ns !== null ? null : this.operationSpan(head.id);
      const from_ns = head.created_ns ?? span?.first ?? 0n;
      const to_ns = head.destroyed_ns ?? span?.last ?? from_ns;
      return { ...head, from_ns, to_ns };
    });
  }

  /** Gets against puts by call site, of one object or of all. */
  balance(object: number | null): BalancePair[] {
    return balanceTree(this.#database, object);
  }

  /** When the references were taken that still hold an object. */
  heldSince(object: number): bigint[] {
    return this.#all(
      "SELECT since_ns FROM holders WHERE object = ? AND kind IN ('file', 'reference') AND since_ns IS NOT NULL",
      object,
    ).map((row) => big(row.since_ns) ?? 0n);
  }

  /** From the first record of the audit to the last. */
  span(): { from: bigint; to: bigint } {
    const row = this.#get("SELECT min(first_ns) AS first, max(last_ns) AS last FROM sources");
    const from = big(row?.first) ?? 0n;
    const to = big(row?.last) ?? from;
    return { from, to: to > from ? to : from + 1n };
  }

  /** First and last record of each CPU. */
  cpus(): CpuRow[] {
    return this.#all(
      "SELECT cpu, min(first_ns) AS first, max(last_ns) AS last FROM cpus GROUP BY cpu ORDER BY cpu",
    ).map((row) => ({ cpu: number(row.cpu), first_ns: big(row.first) ?? 0n, last_ns: big(row.last) ?? 0n }));
  }

  /** Events that the sources say are missing. */
  lost(): { places: number; known: number } {
    const row = this.#get("SELECT sum(lost_places) AS places, sum(lost_known) AS known FROM sources");
    return { places: number(row?.places), known: number(row?.known) };
  }

  /** How many events there are in equal parts of a span, and in its last second. */
  rates(
    { from, to }: { from: bigint; to: bigint },
    parts: number,
  ): { counts: number[]; perSecond: number; total: number } {
    const edges = Array.from({ length: parts }, (_, part) =>
      this.#eventAt(from + ((to - from) * BigInt(part)) / BigInt(parts)),
    );
    const end = this.#eventAt(to + 1n);
    const counts = edges.map((edge, part) => (edges[part + 1] ?? end) - edge);
    return { counts, perSecond: end - this.#eventAt(to - 1_000_000_000n), total: end - 1 };
  }

  /** Objects that are alive at a moment, as far as seen, those last made first. */
  aliveAt(at: bigint, most: number): LiveObject[] {
    const before = this.#eventAt(at + 1n);
    return this.#all(
      `SELECT o.id, o.label, coalesce(o.created_ns, (SELECT e.time_ns FROM ledger l JOIN events e ON e.id = l.event
                                                      WHERE l.object = o.id ORDER BY l.event LIMIT 1)) AS since_ns,
              (SELECT max(l.rowid) FROM ledger l WHERE l.object = o.id AND l.event < ?
                 AND l.event = (SELECT max(event) FROM ledger WHERE object = o.id AND event < ?)) AS last
       FROM objects o WHERE ${ALIVE} ORDER BY o.id DESC LIMIT ?`,
      before,
      before,
      at,
      at,
      most,
    )
      .filter((row) => row.last !== null)
      .map((row) => {
        const last = this.#get(
          `SELECT k.function, k.effect, k.delta, l.refs, l.outcome FROM ledger l JOIN operations k ON k.id = l.operation
           WHERE l.rowid = ?`,
          number(row.last),
        );
        const refs = numberOrNull(last?.refs);
        const delta = last?.outcome === "refused" ? 0 : number(last?.delta);
        return {
          id: number(row.id),
          label: text(row.label),
          since_ns: big(row.since_ns) ?? at,
          refs: refs === null ? null : refs + delta,
          last: last ? `${text(last.effect)} ${text(last.function)}` : null,
        };
      });
  }

  /** Objects alive at a moment and their references, by class. */
  aliveCounts(at: bigint): { class: string; count: number; references: number }[] {
    return this.#all(
      `SELECT class, count(*) AS n, sum(CASE WHEN refs_last > 0 THEN refs_last ELSE 0 END) AS refs FROM objects o
       WHERE ${ALIVE} GROUP BY class ORDER BY class`,
      at,
      at,
    ).map((row) => ({ class: text(row.class), count: number(row.n), references: number(row.refs) }));
  }

  registrationCount(): number {
    return number(this.#get("SELECT count(*) AS n FROM registrations")?.n);
  }

  /** Registrations in order. */
  registrations(offset: number, limit: number): RegistrationRow[] {
    return this.#all("SELECT * FROM registrations ORDER BY id LIMIT ? OFFSET ?", limit, offset).map((row) => ({
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
  registrationIndex(id: number): number {
    return number(this.#get("SELECT count(*) AS n FROM registrations WHERE id < ?", id)?.n);
  }

  /** The registration that a finding is about; null when it was not seen. */
  registrationOf({ class: name, key, address, generation }: FindingHead): number | null {
    const value = key === null || !/^-?\d+$|^0x[0-9a-f]+$/i.test(key) ? address : BigInt(key);
    if (value === null) return null;
    const row = this.#get(
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
      this.#get("SELECT id FROM registrations WHERE orphaned = 1 AND id > ? ORDER BY id LIMIT 1", after) ??
      this.#get("SELECT id FROM registrations WHERE orphaned = 1 ORDER BY id LIMIT 1");
    return row ? number(row.id) : null;
  }

  /** What has this address, pid, task name or function: at most `most` of each kind. */
  find(words: string, most: number): Hit[] {
    const wanted = words.trim();
    if (wanted === "") return [];
    return [...this.#objectsAt(wanted, most), ...this.#tasksLike(wanted, most), ...this.#probesLike(wanted, most)];
  }

  #objectsAt(wanted: string, most: number): Hit[] {
    const digits = /^(?:0x)?([0-9a-f]{3,16})$/i.exec(wanted)?.[1];
    const names = this.#all(
      "SELECT * FROM objects WHERE class = 'module' AND name LIKE ? ESCAPE '\\' LIMIT ?",
      like(wanted),
      most,
    );
    const rows = names;
    if (digits !== undefined) {
      const value = BigInt.asIntN(64, BigInt(`0x${digits}`));
      for (const { class: name } of this.objectCounts()) {
        rows.push(...this.#all("SELECT * FROM objects WHERE class = ? AND address = ? LIMIT ?", name, value, most));
      }
      // A part of an address has no index: the newest objects are looked through.
      if (digits.length < 16) {
        rows.push(
          ...this.#all(
            `SELECT * FROM (SELECT * FROM objects ORDER BY id DESC LIMIT ${LOOKED_THROUGH})
             WHERE printf('%x', address) LIKE ? LIMIT ?`,
            `%${digits.toLowerCase()}`,
            most,
          ),
        );
      }
    }
    return rows.slice(0, most).map((row) => {
      const { id, label, generation, state, class: name } = objectHead(row);
      return { kind: "object", id, text: label, more: `${name}, life ${generation}, ${state}` };
    });
  }

  #tasksLike(wanted: string, most: number): Hit[] {
    const isPid = /^[0-9]+$/.test(wanted);
    return this.threads()
      .filter(({ tid, comm }) => (isPid && tid === Number(wanted)) || comm.toLowerCase().includes(wanted.toLowerCase()))
      .slice(0, most)
      .map(({ tid, comm }) => ({ kind: "task", tid, text: `${comm === "" ? "?" : comm} ${tid}`, more: "its events" }));
  }

  #probesLike(wanted: string, most: number): Hit[] {
    return this.#all(
      "SELECT id, kind, name, symbol, offset, module FROM probes WHERE symbol LIKE ? ESCAPE '\\' OR name LIKE ? ESCAPE '\\' ORDER BY symbol, id LIMIT ?",
      like(wanted),
      like(wanted),
      most,
    ).map((row) => ({
      kind: "probe",
      probe: number(row.id),
      text: placeOf(row) ?? text(row.name),
      more: `${text(row.kind)} ${text(row.name)}`,
    }));
  }

  /** Every task that was seen, by pid. The first ones, where there are very many. */
  threads(): { tid: number; comm: string }[] {
    return this.#all(
      `WITH RECURSIVE seen(tid) AS (
         SELECT min(tid) FROM events UNION ALL
         SELECT (SELECT min(tid) FROM events WHERE tid > seen.tid) FROM seen WHERE seen.tid IS NOT NULL)
       SELECT seen.tid, (SELECT t.comm FROM events e JOIN tasks t ON t.id = e.task WHERE e.tid = seen.tid LIMIT 1) AS comm
       FROM seen WHERE seen.tid IS NOT NULL LIMIT ${MOST_THREADS}`,
    ).map((row) => ({ tid: number(row.tid), comm: text(row.comm) }));
  }

  eventCount(of: EventsOf): number {
    return "tid" in of
      ? number(this.#get("SELECT count(*) AS n FROM events WHERE tid = ?", of.tid)?.n)
      : number(this.#get("SELECT count(*) AS n FROM events WHERE probe = ?", of.probe)?.n);
  }

  /** Recorded events of a task or of a probe, in order. */
  events(of: EventsOf, offset: number, limit: number): EventRow[] {
    const page =
      "tid" in of
        ? "SELECT id FROM events WHERE tid = ? ORDER BY id LIMIT ? OFFSET ?"
        : "SELECT id FROM events WHERE probe = ? ORDER BY time_ns LIMIT ? OFFSET ?";
    return this.#all(
      `SELECT e.*, t.comm, p.name, p.symbol, p.offset, p.fields FROM events e JOIN tasks t ON t.id = e.task
       JOIN probes p ON p.id = e.probe WHERE e.id IN (${page}) ORDER BY e.id`,
      "tid" in of ? of.tid : of.probe,
      limit,
      offset,
    ).map((row) => ({
      id: number(row.id),
      time_ns: big(row.time_ns) ?? 0n,
      cpu: number(row.cpu),
      tid: number(row.tid),
      comm: text(row.comm),
      name: text(row.name),
      place: placeOf(row),
      values: valuesOf(row),
      stack: numberOrNull(row.stack),
    }));
  }

  /** The object that an event is about; null when it was followed on none. */
  objectOfEvent(event: number): ObjectHead | null {
    const row = this.#get(
      "SELECT o.* FROM ledger l JOIN objects o ON o.id = l.object WHERE l.event = ? LIMIT 1",
      event,
    );
    return row ? objectHead(row) : null;
  }

  /** Tables and views with their columns, for who writes SQL. */
  tables(): { name: string; columns: string[] }[] {
    return this.#all(
      `SELECT s.name, group_concat(c.name, ',') AS columns FROM sqlite_schema s, pragma_table_info(s.name) c
       WHERE s.type IN ('table', 'view') AND s.name NOT LIKE 'sqlite%' GROUP BY s.name ORDER BY s.type DESC, s.rowid`,
    ).map((row) => ({ name: text(row.name), columns: text(row.columns).split(",") }));
  }

  /**
   * Rows of one reading statement as text, at most so many, and no more than come in a few seconds.
   * @throws UnusableDatabase when the SQL is wrong, or would write.
   */
  sql(statement: string, most: number): SqlResult {
    const { columns, rows } = runQuery(this.#database, statement);
    const result: SqlResult = { columns, rows: [], isCut: false };
    const end = Date.now() + SQL_PATIENCE;
    for (const row of rows) {
      if (result.rows.length >= most || Date.now() > end) {
        result.isCut = true;
        break;
      }
      result.rows.push(row.map((value) => (value === null ? "" : String(value))));
    }
    return result;
  }

  #get(sql: string, ...values: (string | number | bigint | null)[]): Row | undefined {
    return this.#statement(sql).get(...values) as Row | undefined;
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

function objectHead(row: Row): ObjectHead {
  return { ...objectOf(row), exact: number(row.exact) === 1 };
}

function counterRow(row: Row): CounterRow {
  return {
    time_ns: big(row.time_ns) ?? 0n,
    delta: row.outcome === "refused" ? 0 : number(row.delta),
    refs: numberOrNull(row.refs),
  };
}

/** For LIKE ... ESCAPE. */
function like(words: string): string {
  return `%${words.replace(/[%_\\]/g, "\\$&")}%`;
}

function placeOf(row: Row): string | null {
  const symbol = textOrNull(row.symbol);
  const offset = numberOrNull(row.offset);
  if (symbol === null) return null;
  return offset === null || offset === 0 ? symbol : `${symbol}+0x${offset.toString(16)}`;
}

/** Recorded values with their names; large numbers as the kernel prints addresses. */
function valuesOf(row: Row): { name: string; value: string }[] {
  const names = JSON.parse(text(row.fields)) as string[];
  const more = row.more === null ? [] : (JSON.parse(text(row.more)) as unknown[]);
  const cells = [row.a0, row.a1, row.a2, row.a3, ...more];
  return names.map((name, index) => ({ name, value: shownValue(cells[index]) }));
}

function shownValue(value: unknown): string {
  if (value === null || value === undefined) return "(fault)";
  if (typeof value !== "bigint") return String(value);
  return value > 0xffffffffn || value < -0x10000n ? `0x${BigInt.asUintN(64, value).toString(16)}` : String(value);
}
