/** TraceEvents in, operations on objects out: the only place where events get their meaning. */
import { type Catalog, type CataloguedFunction, conditionsOf } from "../../collectors/catalog/catalog.js";
import { parseCondition } from "../../collectors/catalog/condition.js";
import type { ClassEntry, Effect, EffectEntry } from "../../collectors/catalog/schema.js";
import type { Probe, Stack, SymbolTable, TraceEvent } from "../import/trace-event.js";
import { Calls, contextKey, isInside, taskKey } from "./calls.js";
import { type Interpretation, interpret, isPointerLike, withoutCloneSuffix } from "./interpret.js";
import {
  type AuditEvent,
  type Call,
  type CounterRead,
  isAside,
  isNameless,
  type ObjectKey,
  type Operation,
  type Signal,
} from "./operation.js";
import {
  amountOf,
  asAddress,
  asInt,
  isErrorPointer,
  isMetByArguments,
  objectOf,
  outcomeOf,
  readCount,
  readCounter,
  readParameters,
  returnValue,
  siteValues,
  valueAt,
  waitsForReturn,
} from "./values.js";

/** More distinct stacks than a recording of these classes has; bounds memory on hostile input. */
const MAX_STACKS = 4096;
/** The same for callers of tracepoints. */
const MAX_CALL_SITES = 4096;

/** More tasks than do the same within a moment; bounds memory where a trace has very many. */
const MAX_TASKS = 4096;

/** Probes of two tracers on one instruction report within this time (nanoseconds). */
const SAME_MOMENT = 1_000_000n;

const NO_SIGNALS: readonly Signal[] = [];

const DELTA: Partial<Record<Effect, number>> = { get: 1, put: -1 };

/** What was seen of one probe: the ground that coverage stands on. */
export interface ProbeUse {
  probe: Probe;
  interpretation: Interpretation;
  hits: number;
  first: AuditEvent;
  last: AuditEvent;
  /** One of its events told what it was about: until then the silence of the probe says nothing of any object. */
  named: boolean;
}

export class Decoder {
  readonly calls = new Calls();
  readonly #catalog: Catalog;
  readonly #symbols: (source: number) => SymbolTable | null;
  readonly #uses = new Map<Probe, ProbeUse>();
  readonly #interpretations = new Map<Probe, Interpretation>();
  readonly #foreign = new Map<string, CataloguedFunction>();
  /** Functions of which a return has been seen: their calls are worth waiting for. */
  readonly #returnsSeen = new Set<string>();
  /** Distinct stacks of wanted events: what they show is active though no probe is on it. */
  readonly stacks = new Set<Stack>();
  /** Last site hit per task, to recognise a second tracer's probe on the same instruction. */
  readonly #lastSite = new Map<number, { probes: Probe[]; time: bigint; operation: Operation }>();
  /** Names of callers, by what the event holds of them; of the source asked last. */
  readonly #callSites = new Map<bigint | string, { source: number; name: string | null }>();

  /** Last return per function and task, for the same reason. */
  readonly #lastReturn = new Map<string, Map<number, { probes: Probe[]; time: bigint }>>();

  /** `symbols` gives the symbols of a source, by its number. */
  constructor(catalog: Catalog, symbols: (source: number) => SymbolTable | null) {
    this.#catalog = catalog;
    this.#symbols = symbols;
  }

  /** Whether a probe's events can matter to any class. */
  wants = (probe: Probe): boolean => this.#interpret(probe).role !== "other";

  /** Every probe that has reported an event, in order of its first. */
  get uses(): Iterable<ProbeUse> {
    return this.#uses.values();
  }

  /** Probes whose events matter to no class. */
  passedOver(): Probe[] {
    return [...this.#interpretations].flatMap(([probe, { role }]) => (role === "other" ? [probe] : []));
  }

  decode(event: AuditEvent): Signal[] {
    let use = this.#uses.get(event.probe);
    if (use) {
      use.hits++;
      use.last = event;
    } else {
      const interpretation = this.#interpret(event.probe);
      use = { probe: event.probe, interpretation, hits: 1, first: event, last: event, named: false };
      this.#uses.set(event.probe, use);
    }
    if (event.stack && this.stacks.size < MAX_STACKS) this.stacks.add(event.stack);
    const meaning = use.interpretation;
    if (meaning.role === "return") {
      this.#returnsSeen.add(meaning.function.name);
      if (this.#isReturnKnown(event, meaning)) return [];
      const signals = this.#return(event, meaning);
      use.named ||= signals.some((signal) => isNamed(signal, event));
      return signals;
    }
    if (meaning.role === "entry") {
      const known = this.#knownCall(event, meaning);
      if (known) {
        const signals = this.#operations(known, event, meaning, readParameters(event, meaning));
        use.named ||= signals.length > 0;
        return signals;
      }
    }
    const givenUp = this.#giveUpWaiting(this.calls.of(event));
    const signals = this.#signals(event, meaning);
    use.named ||= signals.some((signal) => isNamed(signal, event));
    return givenUp.length === 0 ? signals : [...givenUp, ...signals];
  }

  #signals(event: AuditEvent, meaning: Interpretation): Signal[] {
    switch (meaning.role) {
      case "entry":
        return this.#entry(event, meaning);
      case "site":
        return this.#site(event, meaning);
      case "stored":
        return this.#stored(event, meaning);
      case "tracepoint":
        return this.#tracepoint(event, meaning);
      case "reading":
        return readingSignals(event, meaning);
      default:
        return [];
    }
  }

  /** The trace is over: calls that never returned in it. */
  finish(): Signal[] {
    return [...this.calls.all()].flatMap((stack) => this.#giveUpWaiting(stack, true));
  }

  /**
   * The task goes on and no return of such a call has ever been seen: nobody records it, so the result stays unknown.
   * Should a return come after all, it still decides.
   */
  #giveUpWaiting(open: readonly Call[], all = false): readonly Signal[] {
    if (open.length === 0) return NO_SIGNALS;
    const signals: Signal[] = [];
    for (const call of open) {
      if (!all && this.#returnsSeen.has(call.function.name)) continue;
      for (const operation of call.operations) {
        if (operation.outcome !== "pending") continue;
        operation.outcome = "unknown";
        signals.push({ kind: "update", operation, what: "outcome" });
      }
    }
    return signals;
  }

  #interpret(probe: Probe): Interpretation {
    let meaning = this.#interpretations.get(probe);
    if (!meaning) {
      meaning = interpret(probe, this.#catalog, this.#foreign);
      this.#interpretations.set(probe, meaning);
    }
    return meaning;
  }

  /** The call that another tracer's probe has told of already. */
  #knownCall(event: AuditEvent, meaning: Extract<Interpretation, { role: "entry" }>): Call | null {
    const same = this.calls.innermost(event, meaning.function.name);
    if (!same || same.entryProbes.includes(event.probe) || !sameParameters(same, event, meaning)) return null;
    same.entryProbes.push(event.probe);
    return same;
  }

  /** Whether another tracer's probe has told of this return already. */
  #isReturnKnown(event: AuditEvent, meaning: Extract<Interpretation, { role: "return" }>): boolean {
    const task = contextKey(event);
    let tasks = this.#lastReturn.get(meaning.function.name);
    if (!tasks) {
      tasks = new Map();
      this.#lastReturn.set(meaning.function.name, tasks);
    }
    const last = tasks.get(task);
    if (last && !last.probes.includes(event.probe) && event.time - last.time < SAME_MOMENT) {
      last.probes.push(event.probe);
      return true;
    }
    if (tasks.size >= MAX_TASKS) tasks.clear();
    tasks.set(task, { probes: [event.probe], time: event.time });
    return false;
  }

  #entry(event: AuditEvent, meaning: Extract<Interpretation, { role: "entry" }>): Signal[] {
    const parameters = readParameters(event, meaning);
    const call: Call = {
      function: meaning.function,
      entry: event,
      entryProbes: [event.probe],
      parameters,
      operations: [],
      undoes: [],
      returned: null,
    };
    this.calls.enter(event, call, this.#returnsSeen.has(meaning.function.name));
    return [{ kind: "call", call }, ...this.#operations(call, event, meaning, parameters)];
  }

  /** What a call does, as far as this entry of it tells and no other tracer's did. */
  #operations(
    call: Call,
    event: AuditEvent,
    meaning: Extract<Interpretation, { role: "entry" }>,
    parameters: Call["parameters"],
  ): Signal[] {
    const signals: Signal[] = [];
    for (const { class: entry, entry: spec } of meaning.function.meanings) {
      for (const effect of spec.effects) {
        if (effect.object === "ret" || isMetByArguments(effect, meaning.function, event, parameters) !== true) continue;
        if (effect.within !== undefined && !this.#isWithin(event, effect.within)) continue;
        const told = call.operations.find((operation) => operation.spec === effect);
        const read = isAside(effect)
          ? readCount(event, entry, effect)
          : entry.counter && isReadAtOnce(effect)
            ? readCounter(event, meaning)
            : null;
        if (told && !isNameless(told)) {
          if (told.read !== null || read === null) continue;
          told.read = read;
          signals.push({ kind: "update", operation: told, what: "read" });
          continue;
        }
        const of = (word: string | undefined) => valueAt(word, meaning.function, event, parameters);
        const object = objectOf(effect, entry, event, meaning, parameters);
        const isError = typeof object === "bigint" && isErrorPointer(object);
        const operation = told ?? makeOperation(entry, effect.effect, event, meaning.function.name);
        operation.object = isError ? null : object;
        operation.errorPointer = isError ? asInt(object) : null;
        operation.parent = of(effect.parent) ?? this.#parentOf(entry, event);
        operation.key = isSlot(entry) ? 0n : of(effect.key);
        operation.ops = of(effect.ops);
        operation.exclusive = of(effect.exclusive);
        operation.amount = amountOf(effect, meaning.function, event, parameters);
        operation.target = of(effect.target);
        operation.read = read;
        if (told) {
          if (!isNameless(told)) signals.push({ kind: "operation", operation });
          continue;
        }
        operation.spec = effect;
        operation.holder = effect.holder ?? null;
        operation.count = effect.count ?? null;
        operation.outcome = waitsForReturn(effect) ? "pending" : "done";
        operation.refusal = spec.refusal ?? null;
        operation.call = call;
        if (effect.undone !== undefined) this.#noteUndone(operation, effect);
        call.operations.push(operation);
        signals.push({ kind: "operation", operation });
      }
    }
    return signals;
  }

  #noteUndone(operation: Operation, { within }: EffectEntry): void {
    operation.undoneBy = within === undefined ? null : this.calls.innermost(operation.event, within);
    operation.undoneBy?.undoes.push(operation);
  }

  #isWithin(event: AuditEvent, name: string): boolean {
    const call = this.calls.innermost(event, name);
    return isInside(event, name, call?.entry) ?? call !== null;
  }

  /** A recorded field that bears the name of the class's parent (`kvm=` where a device is created). */
  #parentOf(entry: ClassEntry, event: TraceEvent): ObjectKey | null {
    if (entry.parent === undefined) return null;
    const names = this.#catalog.classes.get(entry.parent)?.names ?? [];
    const value = event.args[event.probe.fields.findIndex((field) => names.includes(field))] ?? null;
    return isPointerLike(value) && value !== 0n ? asAddress(value) : null;
  }

  #return(event: AuditEvent, meaning: Extract<Interpretation, { role: "return" }>): Signal[] {
    const known = meaning.function;
    const raw = meaning.result === null ? null : (event.args[meaning.result] ?? null);
    const value = typeof raw === "bigint" ? raw : null;
    const result = returnValue(known, value);
    const call = this.calls.leave(event, known.name);
    const signals: Signal[] = [];
    if (call) call.returned = event;
    for (const operation of call?.operations ?? []) {
      operation.returned = event;
      operation.result = result;
      if (operation.outcome !== "pending" && operation.outcome !== "unknown") continue;
      operation.outcome = outcomeOf(operation.spec, value, result);
      signals.push({ kind: "update", operation, what: "outcome" });
    }
    for (const { class: entry, entry: spec } of known.meanings) {
      for (const effect of spec.effects) {
        // What only the return can tell: the object is the result, or the entry was not seen.
        const fromReturn = effect.object === "ret";
        const needsEntry = testsArguments(effect) || effect.within !== undefined;
        if (!fromReturn && (call || !waitsForReturn(effect) || needsEntry)) continue;
        if (fromReturn && effect.within !== undefined && !this.#isWithin(event, effect.within)) continue;
        const operation = makeOperation(entry, effect.effect, event, known.name);
        operation.spec = effect;
        if (fromReturn && value !== null && value !== 0n && !isErrorPointer(value)) operation.object = asAddress(value);
        const refs = meaning.counter === null ? null : event.args[meaning.counter];
        if (fromReturn && entry.counter && effect.effect === "get" && typeof refs === "bigint") {
          operation.read = { value: asInt(refs), when: "after", guess: false };
        }
        if (call !== null) operation.parent = valueAt(effect.parent, known, call.entry, call.parameters);
        operation.holder = effect.holder ?? null;
        operation.count = effect.count ?? null;
        operation.outcome = outcomeOf(effect, value, result);
        operation.refusal = spec.refusal ?? null;
        operation.call = call;
        operation.returned = event;
        operation.result = result;
        signals.push({ kind: "operation", operation });
      }
    }
    for (const made of call?.undoes ?? []) {
      if (result === null || !parseCondition(made.spec?.undone ?? "")?.holds(BigInt(result))) continue;
      const operation = makeOperation(made.class, "destroy", event, known.name);
      operation.object = made.object;
      operation.call = call;
      operation.returned = event;
      operation.result = result;
      signals.push({ kind: "operation", operation });
    }
    if (call) signals.push({ kind: "return", call, result, at: event.time });
    return signals;
  }

  #site(event: AuditEvent, meaning: Extract<Interpretation, { role: "site" }>): Signal[] {
    const values = siteValues(event, meaning);
    if (values === null) return [];
    const spec = meaning.function === null ? undefined : meaning.class.sites[meaning.function];
    const effect = values.delta !== null ? (values.delta > 0 ? "get" : "put") : (spec?.effect ?? null);
    if (effect === null) return [];
    const read: CounterRead | null =
      values.refs === null ? null : { value: values.refs, when: "before", guess: values.guess };

    // Another tracer's probe on the same instruction reports the same operation.
    const task = taskKey(event);
    const last = this.#lastSite.get(task);
    if (
      last &&
      !last.probes.includes(event.probe) &&
      sameAddress(last.probes[0], event.probe) &&
      last.operation.object === values.object &&
      event.time - last.time < SAME_MOMENT
    ) {
      last.probes.push(event.probe);
      return [];
    }

    // The entry probe of the function that contains the instruction has told the operation already.
    const call = meaning.function === null ? null : this.calls.innermost(event, meaning.function);
    const told = call?.operations.find(
      (operation) =>
        operation.class === meaning.class &&
        operation.effect === effect &&
        operation.read === null &&
        (operation.object === null || operation.object === values.object),
    );
    if (told && call && isOwnInstruction(call, told)) {
      const wasKnown = told.object !== null;
      told.read = read;
      told.object ??= values.object;
      this.#lastSite.set(task, { probes: [event.probe], time: event.time, operation: told });
      // Without its object the operation has had no part in any life yet.
      return [wasKnown ? { kind: "update", operation: told, what: "read" } : { kind: "operation", operation: told }];
    }
    if (this.#lastSite.size >= MAX_TASKS) this.#lastSite.clear();
    const operation = makeOperation(meaning.class, effect, event, siteFunction(event, meaning));
    operation.object = values.object;
    operation.read = read;
    operation.outcome = spec?.try === true ? "unknown" : "done";
    operation.call = call;
    operation.site = true;
    this.#lastSite.set(task, { probes: [event.probe], time: event.time, operation });
    return [{ kind: "operation", operation }];
  }

  /** The call that goes on makes this object. */
  #stored(event: AuditEvent, meaning: Extract<Interpretation, { role: "stored" }>): Signal[] {
    const value = event.args[meaning.field] ?? null;
    const call = this.calls.innermost(event, meaning.function.name);
    if (call === null || !isPointerLike(value) || value === 0n) return [];
    const made = call.operations.filter(({ object, spec }) => object === null && spec?.object === meaning.object);
    const classes = made.map((operation) => operation.class);
    // Its holders count on the same object, which they do not name.
    const told = call.operations.filter((one) => one.object === null && classes.includes(one.class));
    for (const operation of told) operation.object = asAddress(value);
    return told.map((operation) => ({ kind: "operation", operation }));
  }

  #tracepoint(event: AuditEvent, meaning: Extract<Interpretation, { role: "tracepoint" }>): Signal[] {
    const spec = meaning.class.tracepoints[meaning.event];
    const object = event.args[meaning.object] ?? null;
    if (!spec || object === null) return [];
    const after = meaning.refsAfter === null ? null : event.args[meaning.refsAfter];
    const operation = makeOperation(meaning.class, spec.effect, event, event.probe.name);
    operation.object = object;
    if (typeof after === "bigint") operation.read = { value: asInt(after), when: "after", guess: false };
    operation.callSite = this.#symbolIn(event, "ip");
    if (spec.function !== undefined) {
      operation.callee = this.#symbolIn(event, spec.function) ?? addressIn(event, spec.function);
    }
    return [{ kind: "operation", operation }];
  }

  /** A function that a tracepoint prints (`call_site=`, field `ip`): a symbol in text, an address in binary. */
  #symbolIn(event: AuditEvent, field: string): string | null {
    const ip = event.args[event.probe.fields.indexOf(field)] ?? null;
    if (ip === null) return null;
    const known = this.#callSites.get(ip);
    if (known !== undefined && known.source === event.source) return known.name;
    const symbol =
      typeof ip === "string"
        ? ip.replace(/[+ ].*$/, "")
        : (this.#symbols(event.source)?.locate(BigInt.asUintN(64, ip)).symbol ?? null);
    const name = symbol === null ? null : withoutCloneSuffix(symbol);
    if (this.#callSites.size >= MAX_CALL_SITES) this.#callSites.clear();
    this.#callSites.set(ip, { source: event.source, name });
    return name;
  }
}

/** The address in a field, where no symbol contains it. */
function addressIn(event: AuditEvent, field: string): string | null {
  const value = event.args[event.probe.fields.indexOf(field)];
  return typeof value === "bigint" ? `0x${BigInt.asUintN(64, value).toString(16)}` : null;
}

/** Whether it is of an operation of this event's own, and tells on what. */
function isNamed(signal: Signal, event: AuditEvent): boolean {
  if (signal.kind !== "operation" && signal.kind !== "update") return false;
  const { operation } = signal;
  if (operation.event !== event && operation.returned !== event) return false;
  // Of some functions nobody can tell the object: they are recorded as well as they can be.
  return !isNameless(operation) || (operation.effect === "create" && operation.spec?.object === undefined);
}

/** The object is there and its counter has this value; that is all. */
function readingSignals(event: AuditEvent, meaning: Extract<Interpretation, { role: "reading" }>): Signal[] {
  const object = event.args[meaning.object] ?? null;
  const refs = event.args[meaning.refs];
  if (typeof object !== "bigint" || typeof refs !== "bigint") return [];
  const operation = makeOperation(meaning.class, "use", event, "a snapshot");
  operation.object = object;
  operation.read = { value: asInt(refs), when: "before", guess: false };
  return [{ kind: "operation", operation }];
}

/** A creation or destruction that only the return decides happens later than the value at entry was read. */
function isReadAtOnce(effect: EffectEntry): boolean {
  return !waitsForReturn(effect) || (effect.effect !== "create" && effect.effect !== "destroy");
}

/** Only a function that is itself a get or put has its one operation inside; an ioctl may hold several. */
function isOwnInstruction(call: Call, told: Operation): boolean {
  return told.delta !== 0 && call.function.meanings.some(({ class: entry }) => entry === told.class);
}

function siteFunction(event: AuditEvent, meaning: Extract<Interpretation, { role: "site" }>): string {
  return meaning.function ?? withoutCloneSuffix(event.stack?.frames[0]?.symbol ?? event.probe.name);
}

function sameAddress(a: Probe | undefined, b: Probe): boolean {
  if (a?.at == null || b.at == null) return false;
  if (a.at.address !== null && b.at.address !== null) return a.at.address === b.at.address;
  return a.at.symbol !== null && a.at.symbol === b.at.symbol && a.at.offset === b.at.offset;
}

/** An operation of which no more is known than that; the caller fills in the rest. */
function makeOperation(entry: ClassEntry, effect: Effect, event: AuditEvent, name: string): Operation {
  return {
    class: entry,
    effect,
    spec: null,
    event,
    returned: null,
    function: name,
    site: false,
    object: null,
    errorPointer: null,
    parent: null,
    key: null,
    ops: null,
    exclusive: null,
    holder: null,
    count: null,
    amount: null,
    target: null,
    delta: DELTA[effect] ?? 0,
    read: null,
    outcome: "done",
    result: null,
    refusal: null,
    callSite: null,
    callee: null,
    call: null,
  };
}

function sameParameters(call: Call, event: TraceEvent, meaning: Extract<Interpretation, { role: "entry" }>): boolean {
  return readParameters(event, meaning).every((value, index) => {
    const known = call.parameters[index] ?? null;
    return value === null || known === null || value === known;
  });
}

/** A table without keys has one entry at most. */
function isSlot({ table }: ClassEntry): boolean {
  return table !== undefined && table.key === undefined;
}

function testsArguments(effect: EffectEntry): boolean {
  return conditionsOf(effect).some((text) => parseCondition(text)?.of !== "ret");
}
