/**
 * One audit from end to end: sources are read, decoded, followed and judged, and everything found is handed to a
 * recorder (the store). Data flows one way (design, section 3).
 */
import type { Catalog } from "../collectors/catalog/catalog.js";
import type { Recording } from "../collectors/recording.js";
import { readRecording } from "../collectors/sidecar.js";
import type { Snapshot } from "../collectors/snapshot/model.js";
import { Decoder } from "./decode/decoder.js";
import type { AuditEvent } from "./decode/operation.js";
import { ConsoleLog, isConsoleProbe } from "./import/console-log.js";
import { openTrace } from "./import/registry.js";
import { snapshotReader } from "./import/snapshot.js";
import { readTimeline } from "./import/timeline.js";
import type {
  CodeLocation,
  KernelReport,
  Probe,
  ProbeKind,
  SourceFacts,
  SymbolTable,
  TraceReader,
  Wants,
} from "./import/trace-event.js";
import { Balances } from "./lifecycle/balances.js";
import { CallSites } from "./lifecycle/call-sites.js";
import { type Coverage, CoverageObserver, judgeCoverage } from "./lifecycle/coverage.js";
import { Deferred } from "./lifecycle/deferred.js";
import { Departed } from "./lifecycle/departed.js";
import { OpenFiles } from "./lifecycle/open-files.js";
import { isAboutProcesses } from "./lifecycle/process-tree.js";
import { Recorded } from "./lifecycle/recorded.js";
import { type Observer, World } from "./lifecycle/world.js";
import { joinSources } from "./one-machine.js";
import { Pause } from "./pause.js";
import { assignBlame } from "./rules/blame.js";
import type { Finding } from "./rules/finding.js";
import { collectFindings, watchAll } from "./rules/index.js";
import { type JudgedReport, judgeReports, type Sighting } from "./rules/kernel-reports.js";
import type { RuleContext } from "./rules/rule.js";
import { judgeSnapshots, type Moment } from "./rules/snapshots.js";

export interface AuditOptions {
  catalog: Catalog;
  /** Classes to judge; null: all that the trace touches. */
  classes: readonly string[] | null;
  /** How long an unregister may wait before it counts as stuck, in nanoseconds; 10 s when left out. */
  stuckAfter?: bigint;
  /** Hand events that touch no class to the recorder, too; they are neither counted nor judged. */
  keepAll?: boolean;
  /** Called now and then with the number of events read so far. */
  progress?: (events: number) => void;
  /** Called between batches, for who watches the audit go on; `soFar` judges what has been read until then. */
  follow?: (soFar: () => AuditOutcome) => Promise<void>;
  signal?: AbortSignal;
}

const STUCK_NS = 10_000_000_000n;

/** Takes down what an audit reads and finds. Observes the lifecycles, too. */
export interface Recorder extends Observer {
  /** Told before the first event. */
  begin(sites: CallSites): void;
  /** An event that matters to a class, in order; its stack and probe come with it. */
  event(event: AuditEvent): void;
}

export interface AuditOutcome {
  sources: SourceFacts[];
  /** Events per source that matter to a class and count (copies in another source left out). */
  relevant: number[];
  world: World;
  decoder: Decoder;
  balances: Balances;
  sites: CallSites;
  files: OpenFiles;
  findings: Finding[];
  /** Reports of the kernel's log, from logs and from inside traces. */
  reports: JudgedReport[];
  coverage: Coverage[];
}

/**
 * Audits traces of one machine.
 * @throws UnreadableInput when an input cannot be read at all.
 */
export async function runAudit(
  paths: readonly string[],
  options: AuditOptions,
  recorder: Recorder | null,
): Promise<AuditOutcome> {
  const readers = await openTraces(paths);
  try {
    return await auditReaders(readers, options, recorder);
  } finally {
    for (const reader of readers) reader.close();
  }
}

/** Audits readers that are open already (`runAudit` opens files by their content). */
export async function auditReaders(
  readers: readonly TraceReader[],
  options: AuditOptions,
  recorder: Recorder | null,
  recordings: readonly (Recording | null)[] = readers.map(({ facts }) => recordingOf(facts)),
): Promise<AuditOutcome> {
  const sources = readers.map((reader) => reader.facts);
  const recorded = recordings.map((recording) => recording && new Recorded(recording));
  const symbols = symbolsOf(sources);
  const decoder = new Decoder(options.catalog, symbols);
  const world = new World(options.catalog, symbols);
  const observed = new CoverageObserver();
  const sites = new CallSites(symbols);
  const balances = new Balances(sites);
  const files = new OpenFiles();
  const deferred = new Deferred();
  recorder?.begin(sites);
  const seen = new LastSeen();
  let end = 0n;
  const context: RuleContext = {
    world,
    decoder,
    gaps: world.gaps,
    symbols,
    neverFired: (functions, kind = "kprobe") => namedAfter(sources, functions, kind),
    lastSeen: (tid, cpu) => seen.at(tid, cpu),
    lastOf: (tid) => seen.of(tid),
    end: () => sources.reduce((latest, facts) => lastOf(facts, latest), end),
    lasted: (since, nanoseconds) =>
      sources.every(({ clockIsTime }) => clockIsTime) && context.end() - since >= nanoseconds,
    stuckAfter: options.stuckAfter ?? STUCK_NS,
    recorded: recorded.filter((one) => one !== null),
    nameless: observed.nameless,
    departed: new Departed(),
  };
  const watches = watchAll(context);
  const { departed } = context;
  for (const observer of [observed, balances, files, deferred, departed, ...(recorder ? [recorder] : []), ...watches])
    world.observe(observer);

  const relevant = readers.map(() => 0);
  const locations = new Map<string, CodeLocation>();
  const judge = (sightings: readonly Sighting[], moments: readonly Moment[]): AuditOutcome => {
    const told = judgeSnapshots(moments, collectFindings(watches), options.catalog, world);
    const { findings, reports } = judgeReports(told, sightings, context, options.catalog);
    assignBlame(findings, { balances, sites, deferred, symbols });
    const coverage = judgeCoverage({
      catalog: options.catalog,
      decoder,
      world,
      observed,
      sources,
      recorded: context.recorded,
      classes: options.classes,
    });
    return { sources, relevant, world, decoder, balances, sites, files, findings, reports, coverage };
  };
  let id = 0;
  const console = readers.map(() => new ConsoleLog<AuditEvent>());
  const unrelated = new Set<Probe>();
  const wants = (source: number): Wants => {
    const wanted = wantsOf(decoder, locations, sources, source, recorded);
    if (options.keepAll !== true || sources[source]?.snapshot !== undefined) return wanted;
    return (probe) => {
      if (!wanted(probe)) unrelated.add(probe);
      return true;
    };
  };
  const pause = new Pause();
  for await (const batch of readTimeline(readers, wants)) {
    for (const item of batch) {
      if (item.kind === "gap") {
        world.lose(item);
        continue;
      }
      const event = item as AuditEvent;
      const own = recorded[event.source];
      if (own && !isConsoleProbe(event.probe) && !takeRecorded(own, event)) continue;
      event.id = ++id;
      if (unrelated.has(event.probe)) {
        recorder?.event(event);
        continue;
      }
      relevant[event.source]!++;
      end = item.time;
      recorder?.event(event);
      if (isConsoleProbe(event.probe)) {
        console[event.source]?.feed(event);
        continue;
      }
      seen.note(event);
      const signals = decoder.decode(event);
      for (const signal of signals) {
        if (signal.kind === "operation") observed.decoded(signal.operation);
        else if (signal.kind === "update" && signal.what === "outcome") observed.outcome(signal.operation);
      }
      world.apply(event, signals);
    }
    await pause.whenDue();
    options.signal?.throwIfAborted();
    options.progress?.(sources.reduce((sum, facts) => sum + facts.eventCount, 0));
    if (options.follow) {
      await options.follow(() => judge([], []));
      balances.goOn();
    }
  }
  const last = decoder.finish();
  for (const signal of last) if (signal.kind === "update") observed.outcome(signal.operation);
  const lastEvent = seen.event;
  if (lastEvent) world.apply(lastEvent, last);
  world.finish();
  const sightings: Sighting[] = console.flatMap((log) => log.finish().map((seen) => ({ ...seen, inTrace: true })));
  for (const [source, facts] of sources.entries()) {
    for (const report of facts.reports ?? []) {
      const event = eventOf(report, ++id, source);
      recorder?.event(event);
      sightings.push({ report, event, inTrace: false });
    }
  }
  for (const [source, own] of recorded.entries()) loseUntold(own, sources[source], world);
  const moments: Moment[] = [];
  for (const [source, facts] of sources.entries()) {
    if (facts.snapshot === undefined) continue;
    const event = momentOf(facts.snapshot, ++id, source);
    recorder?.event(event);
    moments.push({ snapshot: facts.snapshot, before: facts.snapshotBefore ?? null, event });
  }
  return judge(sightings, moments);
}

/** Snapshots that a recording of ours took at its start and end; a damaged sidecar is told where it is read for good. */
function recordedSnapshots(path: string): TraceReader[] {
  try {
    const { snapshots: [start, ...more] = [], command } = readRecording(path) ?? {};
    if (start === undefined) return [];
    const reader = snapshotReader(`${path} (its snapshots)`, [start, ...more]);
    // What was there before the command is not its doing.
    if (command != null && more.length > 0) reader.facts.snapshotBefore = start;
    return [reader];
  } catch {
    return [];
  }
}

/**
 * Opens all traces, or none.
 * @throws UnreadableInput when one cannot be read at all.
 */
export async function openTraces(paths: readonly string[]): Promise<TraceReader[]> {
  const readers: TraceReader[] = [];
  try {
    for (const path of paths) {
      readers.push(await openTrace(path));
      readers.push(...recordedSnapshots(path));
    }
    joinSources(readers);
  } catch (error) {
    for (const reader of readers) reader.close();
    throw error;
  }
  return readers;
}

/** Symbols of a source, or of another one of the same machine where it has none. */
export function symbolsOf(sources: readonly SourceFacts[]): (source: number) => SymbolTable | null {
  return (source) => sources[source]?.symbols ?? sources.find((facts) => facts.symbols)?.symbols ?? null;
}

/** What a recording of ours says of itself, beside the trace; one that cannot be read is only a warning. */
function recordingOf(facts: SourceFacts): Recording | null {
  try {
    return readRecording(facts.path);
  } catch (error) {
    const message = `its sidecar cannot be used, so it counts as a foreign trace: ${(error as Error).message}`;
    facts.diagnostics.push({ severity: "warning", offset: null, line: null, message });
    return null;
  }
}

/** Hands an event to what is known of its recording; false when it is about nothing else, or void. */
function takeRecorded(recorded: Recorded, event: AuditEvent): boolean {
  if (isAboutProcesses(event.probe)) {
    recorded.tree?.note(event);
    return false;
  }
  if (recorded.isVoid(event)) return false;
  recorded.note(event);
  return true;
}

/** What the ring buffer's own counters say was lost, where the trace itself does not tell. */
function loseUntold(recorded: Recorded | null, facts: SourceFacts | undefined, world: World): void {
  if (recorded === null || recorded.lost === 0 || (facts?.gaps.length ?? 0) > 0) return;
  world.lose({ kind: "gap", code: "lost-events", cpu: null, from: null, to: null, lost: recorded.lost });
}

/**
 * What the decoder wants of a source. A probe whose function the source does not tell is taken for the one of the
 * same name in a source that does.
 */
function wantsOf(
  decoder: Decoder,
  locations: Map<string, CodeLocation>,
  sources: readonly SourceFacts[],
  source: number,
  recordings: readonly (Recorded | null)[],
): Wants {
  const facts = sources[source];
  const recorded = recordings[source] ?? null;
  const isMono = ({ snapshot, reports, clock }: SourceFacts, index: number) =>
    snapshot !== undefined || reports !== undefined || clock === "mono" || recordings[index] != null;
  const sameClock = sources.every(isMono);
  return (probe: Probe) => {
    if (recorded !== null) {
      if (isAboutProcesses(probe)) return true;
      probe.at = recorded.locate(probe) ?? probe.at;
      return isConsoleProbe(probe) || decoder.wants(probe);
    }
    const name = `${probe.kind}/${probe.name}`;
    if (probe.at?.symbol != null) {
      if (facts?.symbols && !locations.has(name)) locations.set(name, probe.at);
    } else if (probe.at) {
      const { address } = probe.at;
      const found = address === null ? null : (facts?.symbols?.locate(address) ?? null);
      probe.at = found?.symbol != null ? found : (locations.get(name) ?? probe.at);
    }
    // A snapshot's values belong among the events only where both tell the same time.
    if (facts?.snapshot !== undefined && !sameClock) return false;
    return isConsoleProbe(probe) || decoder.wants(probe);
  };
}

/** What stands in the story for a snapshot. */
function momentOf({ ended_ns, kernel }: Snapshot, id: number, source: number): AuditEvent {
  return {
    kind: "event",
    id,
    source,
    probe: { kind: "print", system: null, name: "snapshot", fields: ["kernel"], at: null },
    time: BigInt(ended_ns),
    cpu: 0,
    tid: 0,
    comm: "snapshot",
    flags: null,
    args: [kernel],
    returnsTo: null,
    stack: null,
    nextOnCpu: null,
  };
}

/** What stands in the story for a report that no trace recorded. */
function eventOf(report: KernelReport, id: number, source: number): AuditEvent {
  return {
    kind: "event",
    id,
    source,
    probe: { kind: "print", system: null, name: "kernel log", fields: ["report"], at: report.at },
    time: report.time ?? 0n,
    cpu: report.cpu ?? 0,
    tid: report.tid ?? 0,
    comm: report.comm ?? "",
    flags: null,
    args: [report.title],
    returnsTo: null,
    stack: report.stack,
    nextOnCpu: null,
  };
}

function namedAfter(sources: readonly SourceFacts[], functions: readonly string[], wanted: ProbeKind): string[] {
  return sources.flatMap((facts) =>
    facts.listed
      .filter(({ fired, kind, name }) => !fired && kind === wanted && functions.some((known) => name.includes(known)))
      .map(({ name }) => name),
  );
}

function lastOf(facts: SourceFacts, latest: bigint): bigint {
  let last = latest;
  for (const span of facts.cpus.values()) if (span.last > last) last = span.last;
  return last;
}

/** More tasks than are told apart; of more, those met first are forgotten. */
const MOST_TASKS = 65_536;

/** When each task was last seen, and on each CPU. */
class LastSeen {
  readonly #tasks = new Map<number, { event: AuditEvent; times: Map<number, bigint> }>();
  event: AuditEvent | null = null;

  note(event: AuditEvent): void {
    this.event = event;
    const task = this.#tasks.get(event.tid);
    if (task) {
      task.event = event;
      task.times.set(event.cpu, event.time);
      return;
    }
    if (this.#tasks.size >= MOST_TASKS) this.#tasks.delete(this.#tasks.keys().next().value as number);
    this.#tasks.set(event.tid, { event, times: new Map([[event.cpu, event.time]]) });
  }

  of(tid: number): AuditEvent | null {
    return this.#tasks.get(tid)?.event ?? null;
  }

  at(tid: number, cpu: number): bigint | null {
    return this.#tasks.get(tid)?.times.get(cpu) ?? null;
  }
}
