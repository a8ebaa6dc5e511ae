/** Writes an audit into its database while the trace is read. */
import type { Database } from "better-sqlite3";
import type { AuditOutcome, Recorder } from "../audit.js";
import type { AuditEvent, Operation } from "../decode/operation.js";
import type { CodeLocation, Probe, SourceFacts, Stack, SymbolTable } from "../import/trace-event.js";
import { beganWith } from "../lifecycle/balances.js";
import type { CallSite, CallSites } from "../lifecycle/call-sites.js";
import type { KernelObject } from "../lifecycle/objects.js";
import type { Registration } from "../lifecycle/registrations.js";
import type { Finding } from "../rules/finding.js";
import { completeAuditDatabase, guard, settleOutcomes } from "./database.js";
import { type FindingTexts, writeFindings } from "./findings.js";
import { writeHolders } from "./holders.js";
import { writeReports } from "./reports.js";
import { writeSnapshotHolders } from "./snapshot-holders.js";
import { type Rows, Writer } from "./writer.js";

/** Operations are written a little later, so that most outcomes are known by then. */
const LEDGER_DELAY = 512;
/** Tables that a snapshot fills anew; what refers to sources is emptied before them. */
const WRITTEN_AGAIN = [
  "probes",
  "tasks",
  "operations",
  "frames",
  "call_sites",
  "holders",
  "balance_counts",
  "creations",
  "cpus",
  "diagnostics",
  "gaps",
  "sources",
  "coverage",
  "reasons",
  "findings",
  "evidence",
  "reports",
];
const LEDGER = ["event", "object", "operation", "refs", "outcome", "result"];

export class StoreRecorder implements Recorder {
  readonly #database: Database;
  readonly #writer: Writer;
  readonly #events: Rows;
  readonly #ledger: Rows;
  readonly #lateOutcomes: Rows;
  readonly #objects: Rows;
  readonly #registrations: Rows;
  readonly #probes = new Map<Probe, number>();
  readonly #stacks = new Map<Stack, number>();
  readonly #tasks = new Map<string, number>();
  /** By function. */
  readonly #operations = new Map<
    string,
    (Pick<Operation, "effect" | "site" | "delta"> & { id: number; callSite: CallSite | null })[]
  >();
  #operationCount = 0;
  /** What the balance of all objects comes to: by operation and stack, and what objects began with by class. */
  readonly #counts = new Map<number, Map<number | null, number>>();
  readonly #creations = new Map<string, number>();
  #sites: CallSites | null = null;
  readonly #keepsEvents: boolean;
  #waiting: { operation: Operation; object: number }[] = [];

  /**
   * Without `keepsEvents` only the events that findings rest on are written, and no ledger: what nobody will query
   * need not be stored. It makes an audit a third faster. `isLive`: somebody reads while it is written.
   */
  constructor(database: Database, version: string, keepsEvents: boolean, isLive = false) {
    this.#database = database;
    this.#keepsEvents = keepsEvents;
    database.prepare("INSERT INTO meta VALUES ('version', ?)").run(version);
    this.#writer = new Writer(database, isLive);
    this.#events = this.#writer.ordered("events", [
      "id",
      "source",
      "probe",
      "time_ns",
      "cpu",
      "tid",
      "task",
      "flags",
      "next_ns",
      "stack",
      "a0",
      "a1",
      "a2",
      "a3",
      "more",
    ]);
    this.#ledger = this.#writer.ordered("ledger", LEDGER);
    this.#lateOutcomes = this.#writer.temporary("late_outcomes", LEDGER);
    this.#objects = this.#writer.unordered("objects", [
      "id",
      "class",
      "label",
      "address",
      "name",
      "generation",
      "state",
      "created_ns",
      "destroyed_ns",
      "refs_last",
      "exact",
      "began_with",
    ]);
    this.#registrations = this.#writer.unordered("registrations", [
      "id",
      "class",
      "key",
      "generation",
      "ops",
      "owner",
      "registered_ns",
      "unregistered_ns",
      "end",
      "orphaned",
      "owner_began_ns",
      "owner_ended_ns",
    ]);
  }

  begin(sites: CallSites): void {
    this.#sites = sites;
  }

  event(event: AuditEvent): void {
    if (this.#keepsEvents) this.#event(event);
  }

  #event(event: AuditEvent): void {
    const { args } = event;
    this.#events.add([
      event.id,
      event.source,
      this.#probe(event.probe),
      event.time,
      event.cpu,
      event.tid,
      this.#task(event.comm),
      event.flags,
      event.nextOnCpu,
      this.#stack(event.stack),
      args[0] ?? null,
      args[1] ?? null,
      args[2] ?? null,
      args[3] ?? null,
      args.length > 4
        ? JSON.stringify(args.slice(4).map((value) => (typeof value === "bigint" ? String(value) : value)))
        : null,
    ]);
  }

  began(_object: KernelObject, before: KernelObject | null): void {
    if (before) this.#object(before);
  }

  forgotten(object: KernelObject): void {
    this.#object(object);
  }

  hears(): boolean {
    return this.#keepsEvents;
  }

  operation(operation: Operation, object: KernelObject): void {
    this.#waiting.push({ operation, object: object.id });
    if (this.#waiting.length >= 2 * LEDGER_DELAY) this.#writeLedger(LEDGER_DELAY);
  }

  updated(operation: Operation, object: KernelObject, what: "outcome" | "read"): void {
    if (!this.#keepsEvents || this.#waiting.findLast((entry) => entry.operation === operation)) return;
    // It was counted when nobody knew yet.
    const kind = this.#operation(operation);
    if (what === "outcome" && operation.outcome === "refused") this.#count(operation, kind, -1);
    this.#addOperation(this.#lateOutcomes, operation, object.id, kind);
  }

  unregistered(entry: Registration): void {
    this.#registration(entry);
  }

  homeGone(entry: Registration): void {
    this.#registration(entry);
  }

  registered(_entry: Registration, before: Registration | null): void {
    if (before) this.#registration(before);
  }

  /** The audit broke off: what it has written so far says that it is not complete. */
  abandon(): void {
    this.#writer.abandon();
  }

  /** Writes what is known at the end and completes the database. */
  finish(outcome: AuditOutcome, exit: number, texts: FindingTexts): void {
    if (!this.#keepsEvents) this.#evidence(outcome.findings);
    this.#rows(outcome);
    this.#writer.close();
    guard(this.#database.name, () => {
      this.#database.exec("BEGIN");
      this.#derived(outcome, exit, texts);
      completeAuditDatabase(this.#database, this.#keepsEvents);
      this.#database.exec("COMMIT");
    });
  }

  /**
   * Writes what is known so far, in place of what was known before: for who reads the database while the audit goes
   * on. The database must be a live one.
   */
  snapshot(outcome: AuditOutcome, exit: number, texts: FindingTexts): void {
    // Objects and registrations that may still change are written again the next time.
    const creations = new Map(this.#creations);
    this.#rows(outcome);
    this.#writer.flush();
    this.#database.exec("BEGIN");
    for (const table of WRITTEN_AGAIN) this.#database.exec(`DELETE FROM ${table}`);
    this.#derived(outcome, exit, texts);
    settleOutcomes(this.#database);
    this.#database.exec("COMMIT");
    this.#creations.clear();
    for (const [name, count] of creations) this.#creations.set(name, count);
  }

  #rows({ world }: AuditOutcome): void {
    this.#writeLedger(this.#waiting.length);
    for (const object of world.objects.all()) this.#object(object);
    for (const entry of world.registrations.all()) this.#registration(entry);
  }

  #derived(outcome: AuditOutcome, exit: number, texts: FindingTexts): void {
    const { sources } = outcome;
    this.#writeNames();
    this.#writeBalance();
    writeHolders(this.#database, outcome, (stack) => this.#stack(stack));
    this.#writeStacks(sources);
    for (const [index, facts] of sources.entries()) this.#source(index, facts, outcome.relevant[index] ?? 0);
    this.#gaps(outcome);
    this.#coverage(outcome);
    writeFindings(this.#database, outcome.findings, texts);
    writeReports(this.#database, outcome.reports, outcome.findings);
    writeSnapshotHolders(this.#database, outcome);
    this.#database.prepare("INSERT OR REPLACE INTO meta VALUES ('exit', ?)").run(String(exit));
  }

  /** The events that findings rest on, in order. */
  #evidence(findings: readonly Finding[]): void {
    const events = new Map<number, AuditEvent>();
    for (const { evidence, culprit } of findings) {
      for (const { event } of evidence) events.set(event.id, event);
      if (culprit.event) events.set(culprit.event.id, culprit.event);
    }
    for (const id of [...events.keys()].sort((a, b) => a - b)) this.#event(events.get(id) as AuditEvent);
  }

  #probe(probe: Probe): number {
    return numberOf(this.#probes, probe);
  }

  #task(comm: string): number {
    return numberOf(this.#tasks, comm);
  }

  #stack(stack: Stack | null): number | null {
    return stack === null ? null : numberOf(this.#stacks, stack);
  }

  /** The row that says what an operation is. */
  #operation(operation: Operation): number {
    const { effect, function: name, site, delta } = operation;
    const callSite = this.#sites?.of(operation) ?? null;
    const sameFunction = this.#operations.get(name) ?? [];
    for (const known of sameFunction) {
      const same = known.effect === effect && known.site === site && known.delta === delta;
      if (same && known.callSite === callSite) return known.id;
    }
    const id = ++this.#operationCount;
    this.#operations.set(name, [...sameFunction, { id, effect, site, delta, callSite }]);
    return id;
  }

  #writeLedger(count: number): void {
    for (const { operation, object } of this.#waiting.splice(0, count)) {
      const kind = this.#operation(operation);
      this.#addOperation(this.#ledger, operation, object, kind);
      if (operation.outcome !== "refused") this.#count(operation, kind, 1);
    }
  }

  #count(operation: Operation, kind: number, by: number): void {
    if (operation.delta === 0) return;
    let stacks = this.#counts.get(kind);
    if (!stacks) {
      stacks = new Map();
      this.#counts.set(kind, stacks);
    }
    const stack = this.#stack(operation.event.stack);
    stacks.set(stack, (stacks.get(stack) ?? 0) + by);
  }

  #addOperation(rows: Rows, operation: Operation, object: number, kind: number): void {
    rows.add([operation.event.id, object, kind, refsBefore(operation), operation.outcome, operation.result]);
  }

  #object(object: KernelObject): void {
    const named = typeof object.key === "string";
    const began = beganWith(object);
    const name = object.class.class;
    if (began !== null && began > 0) this.#creations.set(name, (this.#creations.get(name) ?? 0) + began);
    const exact = object.ledger === null || (object.ledger.breakCount === 0 && object.losses === 0);
    this.#objects.add([
      object.id,
      name,
      `${object.class.title} ${named ? object.key : `0x${object.key.toString(16)}`}`,
      named ? null : signed(object.key as bigint),
      named ? (object.key as string) : null,
      object.generation,
      object.state,
      (object.created?.returned ?? object.created?.event)?.time ?? null,
      (object.destroyed?.returned ?? object.destroyed?.event)?.time ?? null,
      object.ledger?.value() ?? null,
      exact ? 1 : 0,
      began,
    ]);
  }

  #registration(entry: Registration): void {
    this.#registrations.add([
      entry.id,
      entry.class.class,
      signed(entry.key),
      entry.generation,
      signed(entry.ops),
      entry.owner === null ? null : `${entry.owner.name} #${entry.owner.generation}`,
      entry.registered.event.time,
      entry.unregistered?.event.time ?? null,
      entry.end,
      entry.orphaned === null ? 0 : 1,
      entry.owner?.began?.time ?? null,
      entry.owner?.ended?.time ?? null,
    ]);
  }

  /** What the rows call by number. */
  #writeNames(): void {
    const probe = this.#database.prepare("INSERT INTO probes VALUES (?,?,?,?,?,?,?,?,?)");
    for (const [{ kind, system, name, fields, at }, id] of this.#probes) {
      const place = [signed(at?.address ?? null), at?.symbol ?? null, at?.offset ?? null, at?.module ?? null];
      probe.run(id, kind, system, name, JSON.stringify(fields), ...place);
    }
    const task = this.#database.prepare("INSERT INTO tasks VALUES (?,?)");
    for (const [comm, id] of this.#tasks) task.run(id, comm);
    const operation = this.#database.prepare("INSERT INTO operations VALUES (?,?,?,?,?,?)");
    for (const [name, kinds] of this.#operations) {
      for (const { id, effect, site, delta, callSite } of kinds) {
        operation.run(id, effect, name, site ? 1 : 0, delta, callSite?.id ?? null);
      }
    }
  }

  #writeBalance(): void {
    const count = this.#database.prepare("INSERT INTO balance_counts VALUES (?,?,?)");
    for (const [operation, stacks] of this.#counts) {
      for (const [stack, times] of stacks) count.run(operation, stack, times);
    }
    const creation = this.#database.prepare("INSERT INTO creations VALUES (?,?)");
    for (const [name, references] of this.#creations) creation.run(name, references);
  }

  /** Frames are named last: a source's symbols are complete only when it has been read. */
  #writeStacks(sources: readonly SourceFacts[]): void {
    const tables = sources.flatMap((facts) => (facts.symbols ? [facts.symbols] : []));
    const insert = this.#database.prepare("INSERT INTO frames VALUES (?,?,?,?)");
    for (const [stack, id] of this.#stacks) {
      for (const [depth, frame] of stack.frames.entries()) {
        insert.run(id, depth, signed(frame.address), frame.symbol ?? symbolOf(frame, tables));
      }
    }
  }

  #source(index: number, facts: SourceFacts, relevant: number): void {
    const spans = [...facts.cpus.values()];
    const first = spans.reduce<bigint | null>(
      (least, { first: at }) => (least === null || at < least ? at : least),
      null,
    );
    const last = spans.reduce<bigint | null>((most, { last: at }) => (most === null || at > most ? at : most), null);
    const lost = facts.gaps.reduce((sum, gap) => sum + (gap.lost ?? 0), 0);
    this.#database
      .prepare("INSERT INTO sources VALUES (?,?,?,?,?,?,?,?,?,?,?)")
      .run(
        index,
        facts.path,
        facts.format,
        facts.clock,
        facts.kernel,
        facts.eventCount,
        relevant,
        first,
        last,
        lost,
        facts.gaps.length,
      );
    const span = this.#database.prepare("INSERT INTO cpus VALUES (?,?,?,?)");
    for (const [cpu, { first, last }] of facts.cpus) span.run(index, cpu, first, last);
    const diagnostic = this.#database.prepare("INSERT INTO diagnostics VALUES (?,?,?,?,?)");
    for (const { severity, offset, line, message } of facts.diagnostics) {
      diagnostic.run(index, severity, offset, line, message);
    }
  }

  #gaps(outcome: AuditOutcome): void {
    const insert = this.#database.prepare("INSERT INTO gaps VALUES (?,?,?,?,?)");
    for (const gap of outcome.world.gaps) insert.run(gap.code, gap.cpu, gap.from, gap.to, gap.lost);
  }

  #coverage(outcome: AuditOutcome): void {
    const insert = this.#database.prepare("INSERT INTO coverage VALUES (?,?,?,?,?)");
    const reason = this.#database.prepare("INSERT INTO reasons VALUES (?,NULL,?,?,?)");
    for (const { class: entry, state, judged, effects, reasons } of outcome.coverage) {
      insert.run(entry.class, entry.title, state, judged ? 1 : 0, effects);
      for (const { code, text, probe } of reasons) reason.run(entry.class, code, text, probe);
    }
  }
}

/** The number that stands for a thing in the database: 1 for the first one asked for. */
function numberOf<Thing>(known: Map<Thing, number>, thing: Thing): number {
  let number = known.get(thing);
  if (number === undefined) {
    number = known.size + 1;
    known.set(thing, number);
  }
  return number;
}

/** SQLite's integers are signed. */
function signed(value: bigint): bigint;
function signed(value: bigint | null): bigint | null;
function signed(value: bigint | null): bigint | null {
  return value === null ? null : BigInt.asIntN(64, value);
}

function refsBefore(operation: Operation): number | null {
  const { read } = operation;
  if (read === null || read.guess) return null;
  return read.when === "after" ? read.value - operation.delta : read.value;
}

function symbolOf(frame: CodeLocation, tables: readonly SymbolTable[]): string | null {
  if (frame.address === null) return null;
  for (const table of tables) {
    const { symbol } = table.locate(frame.address);
    if (symbol !== null) return symbol;
  }
  return null;
}
