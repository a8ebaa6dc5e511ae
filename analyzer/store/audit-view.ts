/** The read side of an audit: what reports and screens show. Nothing here computes; it only reads. */
import type { Database } from "better-sqlite3";
import { TRACER } from "../decode/tracer-frames.js";
import { big, number, numberOrNull, type Row, text, textOrNull, unsigned } from "./cells.js";

export interface SourceView {
  path: string;
  format: string;
  kernel: string | null;
  clock: string | null;
  events: number;
  relevant: number;
  first_ns: bigint | null;
  last_ns: bigint | null;
  lost: { known: number; places: number };
  diagnostics: { severity: string; offset: number | null; line: number | null; message: string }[];
}

export interface ReasonView {
  code: string;
  text: string;
  probe: string | null;
}

export interface EvidenceView {
  event: number;
  time_ns: bigint;
  cpu: number;
  tid: number;
  comm: string;
  call: string;
  function: string;
  effect: string | null;
  delta: number | null;
  refs: number | null;
  result: number | null;
  note: string;
  stack: string[];
}

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
}

export interface FindingView extends FindingHead {
  class_title: string;
  suppressed_by: string | null;
  explanation: string;
  expected: string;
  sure: string;
  fixed_by: string | null;
  culprit_context: string | null;
  culprit_site: string | null;
  culprit_stack: string[];
  lowered_by: ReasonView[];
  evidence: EvidenceView[];
}

export interface ObjectView {
  id: number;
  class: string;
  label: string;
  address: bigint | null;
  name: string | null;
  generation: number;
  state: string;
  created_ns: bigint | null;
  destroyed_ns: bigint | null;
  refs_last: number | null;
}

export interface CoverageView {
  class: string;
  title: string;
  state: string;
  judged: boolean;
  effects: number;
  reasons: ReasonView[];
}

export interface ReportView {
  id: number;
  source: number;
  line: number;
  kind: string;
  bug: string;
  title: string;
  time_ns: bigint | null;
  clock: string | null;
  tid: number | null;
  comm: string | null;
  kernel: string | null;
  function: string;
  code: string | null;
  stack: string[];
  class: string | null;
  rule: string | null;
  finding: number | null;
  looks_like: string[];
  learn: string | null;
}

/** Queries over one audit database. */
export class AuditView {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** A value of the meta table (`version`, `exit`); null when it is not there. */
  meta(key: string): string | null {
    return (
      (this.#database.prepare("SELECT value FROM meta WHERE key = ?").pluck().get(key) as string | undefined) ?? null
    );
  }

  sources(): SourceView[] {
    const diagnostics = this.#rows("SELECT source, severity, offset, line, message FROM diagnostics");
    return this.#rows("SELECT * FROM sources ORDER BY id").map((row) => ({
      path: text(row.path),
      format: text(row.format),
      kernel: textOrNull(row.kernel),
      clock: textOrNull(row.clock),
      events: number(row.events),
      relevant: number(row.relevant),
      first_ns: big(row.first_ns),
      last_ns: big(row.last_ns),
      lost: { known: number(row.lost_known), places: number(row.lost_places) },
      diagnostics: diagnostics
        .filter((diagnostic) => diagnostic.source === row.id)
        .map((diagnostic) => ({
          severity: text(diagnostic.severity),
          offset: numberOrNull(diagnostic.offset),
          line: numberOrNull(diagnostic.line),
          message: text(diagnostic.message),
        })),
    }));
  }

  findings(): FindingView[] {
    return this.#findings("", []);
  }

  /** One finding with its story; null when there is none of this number. */
  finding(id: number): FindingView | null {
    return this.#findings("WHERE f.id = ?", [id])[0] ?? null;
  }

  consequences(of: number): FindingView[] {
    return this.#findings("WHERE f.consequence_of = ?", [of]);
  }

  #findings(where: string, values: number[]): FindingView[] {
    const reasons = this.#rows("SELECT finding, code, text, probe FROM reasons WHERE finding IS NOT NULL");
    return this.#rows(
      `SELECT f.*, c.title AS class_title, e.stack AS culprit_stack_id FROM findings f
       LEFT JOIN coverage c ON c.class = f.class LEFT JOIN events e ON e.id = f.culprit_event ${where} ORDER BY f.id`,
      ...values,
    ).map((row) => ({
      ...findingHead(row),
      class_title: text(row.class_title),
      suppressed_by: textOrNull(row.suppressed_by),
      explanation: text(row.explanation),
      expected: text(row.expected),
      sure: text(row.sure),
      fixed_by: textOrNull(row.fixed_by),
      culprit_context: textOrNull(row.culprit_context),
      culprit_site: textOrNull(row.culprit_site),
      culprit_stack: this.stack(numberOrNull(row.culprit_stack_id)),
      lowered_by: reasons.filter((reason) => reason.finding === row.id).map(reasonView),
      evidence: this.#evidence(number(row.id)),
    }));
  }

  *objects(): Generator<ObjectView> {
    const statement = this.#database.prepare("SELECT * FROM objects ORDER BY id").safeIntegers();
    for (const row of statement.iterate() as Iterable<Row>) {
      yield objectOf(row);
    }
  }

  /** Who holds each object that is not known to be gone, in words. */
  holders(): Map<number, string[]> {
    const holders = new Map<number, string[]>();
    for (const row of this.#rows("SELECT * FROM holders WHERE object IS NOT NULL ORDER BY since_ns")) {
      const count = number(row.count) === 1 ? "" : `${number(row.count)} × `;
      const task = row.tid === null ? "" : `, ${text(row.comm)} (${number(row.tid)})`;
      const object = number(row.object);
      holders.set(object, [...(holders.get(object) ?? []), `${count}${text(row.what)}${task}`]);
    }
    return holders;
  }

  coverage(): CoverageView[] {
    const reasons = this.#rows("SELECT class, code, text, probe FROM reasons WHERE class IS NOT NULL");
    return this.#rows("SELECT * FROM coverage ORDER BY class").map((row) => ({
      class: text(row.class),
      title: text(row.title),
      state: text(row.state),
      judged: number(row.judged) === 1,
      effects: number(row.effects),
      reasons: reasons.filter((reason) => reason.class === row.class).map(reasonView),
    }));
  }

  /** What the kernel's log says, in the order of the sources. */
  reports(): ReportView[] {
    return this.#rows("SELECT * FROM reports ORDER BY id").map((row) => ({
      id: number(row.id),
      source: number(row.source),
      line: number(row.line),
      kind: text(row.kind),
      bug: text(row.bug),
      title: text(row.title),
      time_ns: big(row.time_ns),
      clock: textOrNull(row.clock),
      tid: numberOrNull(row.tid),
      comm: textOrNull(row.comm),
      kernel: textOrNull(row.kernel),
      function: text(row.function),
      code: textOrNull(row.code),
      stack: JSON.parse(text(row.stack)) as string[],
      class: textOrNull(row.class),
      rule: textOrNull(row.rule),
      finding: numberOrNull(row.finding),
      looks_like: JSON.parse(text(row.looks_like)) as string[],
      learn: textOrNull(row.learn),
    }));
  }

  /** Symbols of a stack, innermost first, the tracer's own left out; an address where there is no symbol. */
  stack(id: number | null): string[] {
    if (id === null) return [];
    const names = this.#rows("SELECT address, symbol FROM frames WHERE stack = ? ORDER BY depth", id).map(
      (row) => textOrNull(row.symbol) ?? `0x${unsigned(row.address)?.toString(16) ?? "?"}`,
    );
    return names.slice(names.findIndex((name) => !TRACER.test(name)));
  }

  #evidence(finding: number): EvidenceView[] {
    return this.#rows(
      `SELECT v.*, e.time_ns, e.cpu, e.tid, e.stack, t.comm FROM evidence v
       JOIN events e ON e.id = v.event JOIN tasks t ON t.id = e.task WHERE v.finding = ? ORDER BY v.seq`,
      finding,
    ).map((row) => ({
      event: number(row.event),
      time_ns: big(row.time_ns) ?? 0n,
      cpu: number(row.cpu),
      tid: number(row.tid),
      comm: text(row.comm),
      call: text(row.call),
      function: text(row.function),
      effect: textOrNull(row.effect),
      delta: numberOrNull(row.delta),
      refs: numberOrNull(row.refs),
      result: numberOrNull(row.result),
      note: text(row.note),
      stack: this.stack(numberOrNull(row.stack)),
    }));
  }

  #rows(sql: string, ...values: (string | number)[]): Row[] {
    return this.#database
      .prepare(sql)
      .safeIntegers()
      .all(...values) as Row[];
  }
}

function reasonView(row: Row): ReasonView {
  return { code: text(row.code), text: text(row.text), probe: textOrNull(row.probe) };
}

/** A row of the table findings. */
export function findingHead(row: Row): FindingHead {
  return {
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
  };
}

/** A row of the table objects. */
export function objectOf(row: Row): ObjectView {
  return {
    id: number(row.id),
    class: text(row.class),
    label: text(row.label),
    address: unsigned(row.address),
    name: textOrNull(row.name),
    generation: number(row.generation),
    state: text(row.state),
    created_ns: big(row.created_ns),
    destroyed_ns: big(row.destroyed_ns),
    refs_last: numberOrNull(row.refs_last),
  };
}
