/**
 * The state of the kernel's objects as the trace tells it: operations in, lives, registrations and owners out to
 * whoever observes. Does no I/O and cannot fail; what was not seen is left open, never guessed.
 */
import type { Catalog } from "../../collectors/catalog/catalog.js";
import type { ClassEntry } from "../../collectors/catalog/schema.js";
import {
  type AuditEvent,
  type Call,
  isAside,
  type ObjectKey,
  type Operation,
  type Signal,
} from "../decode/operation.js";
import type { CodeLocation, Gap, SymbolTable } from "../import/trace-event.js";
import type { LedgerStep } from "./ledger.js";
import { type KernelObject, ObjectTracker } from "./objects.js";
import { type Owner, Owners } from "./owners.js";
import { type Refusal, type Registration, Registrations, type Unmatched } from "./registrations.js";

/** A creation or destruction of which it is not yet known whether it takes place. */
function isUndecided({ effect, outcome }: Operation): boolean {
  if (effect === "create") return outcome === "pending" || outcome === "unknown" || outcome === "refused";
  return effect === "destroy" && outcome !== "done";
}

/** The place of an operation's object among all classes. */
function slotOf(operation: Operation): string {
  return `${operation.class.class}/${operation.object}`;
}

/** Entries of tables have lives of their own, also where the class counts its objects, too. */
export function isTableEffect({ effect }: Operation): boolean {
  return effect === "register" || effect === "unregister";
}

/** What rules and the store may listen to. Every method is optional but none is called twice for one thing. */
export interface Observer {
  /** Whether operations on objects of a class matter; asked once for each class. All do where nobody can be asked. */
  hears?(entry: ClassEntry): boolean;
  /** An operation on a known object. `step` is null where the class has no counter or the effect no part in it. */
  operation?(operation: Operation, object: KernelObject, step: LedgerStep | null, afterDestroy: boolean): void;
  /** The value or outcome of an operation told earlier. */
  updated?(operation: Operation, object: KernelObject, what: "outcome" | "read"): void;
  /** A life began; the one before at its key, if any, is over (destroyed, or replaced without its end being seen). */
  began?(object: KernelObject, before: KernelObject | null): void;
  /** An object was destroyed a while ago: what comes late of its end has come. */
  settled?(object: KernelObject): void;
  /** An object destroyed long ago is dropped: no more will be told of it. */
  forgotten?(object: KernelObject): void;
  registered?(entry: Registration, before: Registration | null): void;
  refused?(refusal: Refusal): void;
  unregistered?(entry: Registration): void;
  unmatched?(unmatched: Unmatched): void;
  orphaned?(entry: Registration, owner: Owner): void;
  /** A table went with its module. */
  homeGone?(entry: Registration): void;
  /** A holder of a class's references was opened or closed (`operation.holder`). */
  holder?(operation: Operation): void;
  /** A function was handed an error pointer in place of an object. */
  errorPointer?(operation: Operation): void;
  /** A plain count or an uncounted pointer is changed; where a result decides, it is not known yet. */
  aside?(operation: Operation): void;
  /** A catalogued function was entered. */
  called?(call: Call): void;
  returned?(call: Call, result: number | null): void;
}

/** Observers by what they listen to: asking each of them for each operation whether it does costs more than most do. */
type Told = { readonly [Method in Exclude<keyof Observer, "hears">]: Required<Pick<Observer, Method>>[] };

function nobody(): Told {
  return {
    operation: [],
    updated: [],
    began: [],
    settled: [],
    forgotten: [],
    registered: [],
    refused: [],
    unregistered: [],
    unmatched: [],
    orphaned: [],
    homeGone: [],
    holder: [],
    errorPointer: [],
    aside: [],
    called: [],
    returned: [],
  };
}

/** More calls than tasks can be in at a time. */
const MAX_PENDING_HOLDERS = 4096;

/** Where x86-64 maps modules, at the earliest (Documentation/arch/x86/x86_64/mm.rst). */
export const MODULES_FROM = 0xffff_ffff_a000_0000n;

export class World {
  readonly objects = new ObjectTracker(
    (object) => {
      for (const observer of this.#told.settled) observer.settled(object);
    },
    (object) => {
      for (const observer of this.#told.forgotten) observer.forgotten(object);
    },
  );
  readonly registrations = new Registrations();
  readonly owners: Owners;
  readonly gaps: Gap[] = [];
  readonly #catalog: Catalog;
  readonly #symbols: (source: number) => SymbolTable | null;
  readonly #told = nobody();
  /** Who is told of operations on objects of a class. */
  readonly #hearing = new Map<ClassEntry, Told["operation"]>();
  /**
   * Creations whose result is not known. They begin a life when it is, or as soon as somebody touches the object: it may
   * be used by others before its creator returns.
   */
  readonly #creations = new Map<string, Operation>();
  #last: AuditEvent | null = null;
  /** Classes whose objects own entries of tables. */
  readonly #owning = new Set<string>();
  /** Holder operations whose outcome is still open. */
  readonly #pendingHolders = new Set<Operation>();

  constructor(catalog: Catalog, symbols: (source: number) => SymbolTable | null) {
    this.#catalog = catalog;
    this.#symbols = symbols;
    this.owners = new Owners((owner) => this.#ownerEnded(owner));
    for (const { table } of catalog.classes.values()) if (table) this.#owning.add(table.owner);
  }

  observe(observer: Observer): void {
    for (const [method, told] of Object.entries(this.#told) as [keyof Told, Observer[]][]) {
      if (observer[method]) told.push(observer);
    }
  }

  /** Events were lost. */
  lose(gap: Gap): void {
    this.gaps.push(gap);
  }

  /** Takes what one event means; signals in order. */
  apply(event: AuditEvent, signals: readonly Signal[]): void {
    // What the end of the trace settles comes with its last event once more.
    if (event !== this.#last) this.owners.seen(event, signals);
    this.#last = event;
    for (const signal of signals) {
      if (signal.kind === "operation") this.#operation(signal.operation);
      else if (signal.kind === "update") this.#update(signal.operation, signal.what);
      else if (signal.kind === "call") for (const observer of this.#told.called) observer.called(signal.call);
      else {
        this.owners.returned(signal.call.entry, event);
        for (const observer of this.#told.returned) observer.returned(signal.call, signal.result);
      }
    }
  }

  /** The trace is over: what is still in flight settles. */
  finish(): void {
    for (const creation of this.#creations.values()) this.#live(creation);
    this.#guessOwners();
    this.objects.finish(this.#last);
  }

  /**
   * Entries that point into the modules' area, but into none that is there at the end: they were the unloaded one's,
   * where only one was unloaded since.
   */
  #guessOwners(): void {
    for (const entry of [...this.registrations.all()]) {
      if (entry.owner !== null || entry.ops === null || entry.ops < MODULES_FROM) continue;
      const { event } = entry.registered;
      if (!this.#symbols(event.source) || this.#moduleHolding(entry.registered) !== null) continue;
      const gone = [...this.owners.known].filter(
        ({ kind, ended, failed }) => kind === "module" && !failed && ended !== null && ended.time > event.time,
      );
      const [owner] = gone;
      if (!owner || gone.length > 1) continue;
      entry.owner = owner;
      entry.ownerGuessed = true;
      entry.orphaned = owner;
      for (const observer of this.#told.orphaned) observer.orphaned(entry, owner);
    }
  }

  /** The owner that a registration made by this operation belongs to. */
  ownerOf(operation: Operation): Owner | null {
    const owner = operation.class.table?.owner;
    const instance = owner === undefined || owner === "module" ? null : this.#instanceOwning(operation, owner);
    if (instance) return instance;
    return this.#moduleOwning(operation);
  }

  /** The instance or object that the catalog's relation names. */
  #instanceOwning(operation: Operation, owner: string): Owner | null {
    const object = operation.parent ?? this.#parentByKey(operation);
    if (object === null) return this.owners.instance(owner);
    const instance = this.owners.instanceNamed(owner, object);
    // It cannot outlive the module that registers for it.
    instance.module ??= this.#moduleOwning(operation);
    return instance;
  }

  /** What the object under the entry's key was created for. */
  #parentByKey({ class: entry, key }: Operation): ObjectKey | null {
    const via = entry.table?.owner_by === undefined ? undefined : this.classOf(entry.table.owner_by);
    return via === undefined || key === null ? null : (this.objects.find(via, key)?.created?.parent ?? null);
  }

  #moduleOwning(operation: Operation): Owner | null {
    const loading = this.owners.loading(operation.event);
    if (loading) return loading;
    const byMemory = this.#moduleHolding(operation);
    const name = byMemory ?? this.#callerModule(operation);
    return name === null ? null : this.owners.module(name);
  }

  #operation(operation: Operation): void {
    const { class: entry, effect } = operation;
    if (operation.errorPointer !== null) {
      for (const observer of this.#told.errorPointer) observer.errorPointer(operation);
      return;
    }
    if (operation.spec?.inside !== undefined) this.#findContainer(operation, operation.spec.inside);
    if (isAside(operation)) {
      for (const observer of this.#told.aside) observer.aside(operation);
      return;
    }
    if (operation.holder !== null) {
      // Who closes a file of an object shows that it was created.
      if (operation.effect === "close" && operation.object !== null) this.#endCreation(operation);
      if (operation.outcome === "pending") this.#await(operation);
      else for (const observer of this.#told.holder) observer.holder(operation);
      return;
    }
    if (isTableEffect(operation)) {
      if (operation.outcome !== "pending") this.#table(operation);
      return;
    }
    if (entry.kind === "instance") {
      this.owners.instanceEvent(operation);
      return;
    }
    if (operation.object === null) return;
    if (isUndecided(operation)) {
      if (effect === "create" && operation.outcome !== "refused") this.#creations.set(slotOf(operation), operation);
      return;
    }
    if (this.#creations.size > 0) this.#endCreation(operation);
    this.#live(operation);
  }

  /** The result of a holder's opening will tell; of those that never return the oldest are forgotten. */
  #await(operation: Operation): void {
    if (this.#pendingHolders.size >= MAX_PENDING_HOLDERS) {
      const [oldest] = this.#pendingHolders;
      if (oldest) this.#pendingHolders.delete(oldest);
    }
    this.#pendingHolders.add(operation);
  }

  /** Whoever touches an object shows that its creation took place. */
  #endCreation(operation: Operation): void {
    const slot = slotOf(operation);
    const creation = this.#creations.get(slot);
    if (!creation) return;
    this.#creations.delete(slot);
    if (creation !== operation) this.#live(creation);
  }

  /** The argument points into an object: to which one its address tells. */
  #findContainer(operation: Operation, size: number): void {
    const { class: entry, object } = operation;
    if (typeof object !== "bigint") return;
    operation.object = this.objects.containing(entry, object, size)?.key ?? null;
  }

  /** An operation takes its part in the life of its object. */
  #live(operation: Operation): void {
    const { class: entry, effect } = operation;
    const isModule = entry.class === "module";
    if (isModule) this.owners.moduleEvent(operation);
    else if (this.#owning.has(entry.class)) this.owners.instanceEvent(operation);
    const applied = this.objects.apply(operation, this.gaps.length);
    if (applied.began) for (const observer of this.#told.began) observer.began(applied.object, applied.before);
    for (const observer of this.#hearingOf(entry)) {
      observer.operation(operation, applied.object, applied.step, applied.afterDestroy);
    }
    if (isModule && effect === "destroy") {
      for (const gone of this.registrations.homeEnded(String(operation.object))) {
        for (const observer of this.#told.homeGone) observer.homeGone(gone);
      }
    }
  }

  #hearingOf(entry: ClassEntry): Told["operation"] {
    let hearing = this.#hearing.get(entry);
    if (!hearing) {
      hearing = this.#told.operation.filter((observer: Observer) => observer.hears?.(entry) ?? true);
      this.#hearing.set(entry, hearing);
    }
    return hearing;
  }

  #update(operation: Operation, what: "outcome" | "read"): void {
    if (isAside(operation)) return;
    if (operation.holder !== null) {
      if (this.#pendingHolders.delete(operation)) {
        for (const observer of this.#told.holder) observer.holder(operation);
      }
      return;
    }
    if (isTableEffect(operation)) {
      this.#table(operation);
      return;
    }
    if (operation.class.kind === "instance") {
      this.owners.instanceResult(operation);
      return;
    }
    const object = this.objects.update(operation, what);
    if (!object) {
      if (operation.effect === "create" && operation.outcome === "refused") {
        this.#creations.delete(slotOf(operation));
        return;
      }
      // A creation or destruction counts once its result is known.
      if (what === "outcome" && operation.effect !== "get" && operation.effect !== "put") this.#operation(operation);
      return;
    }
    for (const observer of this.#told.updated) observer.updated(operation, object, what);
  }

  /** A register or unregister whose outcome is known (or never will be). */
  #table(operation: Operation): void {
    const owner = this.ownerOf(operation);
    if (operation.effect === "unregister") {
      if (operation.outcome !== "done") return;
      const result = this.registrations.unregister(operation, owner, this.#isTableKnown(operation));
      if (result === null) return;
      if ("tableKnown" in result) for (const observer of this.#told.unmatched) observer.unmatched(result);
      else for (const observer of this.#told.unregistered) observer.unregistered(result);
      return;
    }
    if (operation.effect !== "register") return;
    if (operation.outcome === "refused") {
      const refusal = this.registrations.refuse(operation, owner, this.#othersUp(owner));
      for (const observer of this.#told.refused) observer.refused(refusal);
      return;
    }
    const result = this.registrations.register(operation, owner);
    if (!result) return;
    for (const observer of this.#told.registered) observer.registered(result.entry, result.before);
  }

  #ownerEnded(owner: Owner): void {
    for (const entry of this.registrations.ownerEnded(owner)) {
      for (const observer of this.#told.orphaned) observer.orphaned(entry, owner);
    }
  }

  /** Instances of the same kind that are up besides the owner: they may hold an entry by right. */
  #othersUp(owner: Owner | null): Owner[] {
    if (owner?.kind !== "instance") return [];
    return [...this.owners.known].filter(
      (other) => other !== owner && other.kind === "instance" && other.name === owner.name && other.ended === null,
    );
  }

  /** The module that holds the table was loaded within the trace. */
  #isTableKnown(operation: Operation): boolean {
    const home = operation.class.table?.home;
    return home !== undefined && this.owners.module(home)?.began != null;
  }

  #moduleHolding(operation: Operation): string | null {
    if (operation.ops === null) return null;
    const symbols = this.#symbols(operation.event.source);
    for (const [name, range] of symbols?.modules() ?? []) {
      if (operation.ops >= range.start && operation.ops <= range.end) return name;
    }
    return null;
  }

  /** The first module in the call chain that is not the one the function itself lives in. */
  #callerModule(operation: Operation): string | null {
    const own = operation.class.module ?? null;
    const frames: readonly CodeLocation[] = operation.event.stack?.frames ?? [];
    const symbols = this.#symbols(operation.event.source);
    for (const frame of frames) {
      const name = frame.module ?? (frame.address === null ? null : (symbols?.locate(frame.address).module ?? null));
      if (name !== null && name !== own) return name;
    }
    const returnsTo = operation.returned?.returnsTo ?? null;
    if (returnsTo?.module != null && returnsTo.module !== own) return returnsTo.module;
    return null;
  }

  classes(): Iterable<ClassEntry> {
    return this.#catalog.classes.values();
  }

  classOf(id: string): ClassEntry | undefined {
    return this.#catalog.classes.get(id);
  }
}
