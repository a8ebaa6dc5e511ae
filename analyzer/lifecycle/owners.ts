/**
 * What registrations belong to: a core instance (kvm_init to kvm_exit), an object or a phase of its life (a device from
 * its first open to its last close), or one load of a module. Their end must end what they registered.
 */
import { contextKey, isInside } from "../decode/calls.js";
import type { AuditEvent, ObjectKey, Operation, Signal } from "../decode/operation.js";

export interface Owner {
  kind: "instance" | "module";
  /** Class of an instance, name of a module. */
  name: string;
  /** Which of its class, where there may be several. */
  object: ObjectKey | null;
  /** n-th instance or load seen; 1-based. */
  generation: number;
  /** The event that begins it; null when it was there before the trace. */
  began: AuditEvent | null;
  /** The operation that ends it (kvm_exit, module_free); its begin failing ends it, too. */
  endedBy: Operation | null;
  /** The event at which its end was complete. */
  ended: AuditEvent | null;
  /** Its begin returned an error. */
  failed: boolean;
  /** Begin has been confirmed by a return of 0. */
  confirmed: boolean;
  /** The module load that an instance was begun in. */
  module: Owner | null;
  /** The instance that was up when this one began: it stays so if this one is refused. */
  before: Owner | null;
  /** Task that loaded a module. */
  task: number | null;
}

/** Tells the core which owners end, when they do. */
export type OwnerEnded = (owner: Owner, at: AuditEvent) => void;

export class Owners {
  readonly #modules = new Map<string, Owner>();
  readonly #instances = new Map<string, Owner>();
  /** Module whose init runs, per task. */
  readonly #loading = new Map<number, Owner>();
  /** Instances whose exit function was entered, with no return seen yet. */
  #ending: { owner: Owner; operation: Operation; task: number }[] = [];
  readonly #onEnd: OwnerEnded;
  /** Modules that were loaded or unloaded within the trace. */
  readonly changed = new Set<string>();

  constructor(onEnd: OwnerEnded) {
    this.#onEnd = onEnd;
  }

  /** The instance of a class that is up (or coming up); null when none is known. */
  instance(name: string, object: ObjectKey | null = null): Owner | null {
    const owner = this.#instances.get(slotOf(name, object));
    return owner && owner.ended === null ? owner : null;
  }

  /** The same, for one that something else shows to be up. */
  instanceNamed(name: string, object: ObjectKey): Owner {
    const known = this.instance(name, object);
    if (known) return known;
    const owner = makeOwner("instance", name, 1, null);
    owner.object = object;
    this.#instances.set(slotOf(name, object), owner);
    return owner;
  }

  /** The load of a module that is in memory, as far as seen. */
  module(name: string): Owner | null {
    const owner = this.#modules.get(name);
    return owner && owner.ended === null ? owner : null;
  }

  /** Every instance and load seen last of its name. */
  get known(): Iterable<Owner> {
    return [...this.#modules.values(), ...this.#instances.values()];
  }

  /** The module whose init function the event's task is running. */
  loading(event: AuditEvent): Owner | null {
    return this.#loading.get(contextKey(event)) ?? null;
  }

  /** Any event of a task that has entered an exit function: once it is outside, the instance has ended. */
  seen(event: AuditEvent, signals: readonly Signal[]): void {
    if (this.#ending.length === 0) return;
    const effect = signals.find((signal) => signal.kind === "operation")?.operation.effect ?? null;
    const task = contextKey(event);
    for (const ending of [...this.#ending]) {
      if (ending.task !== task || ending.operation.event === event) continue;
      const inside = isInside(event, ending.operation.function, ending.operation.event);
      // Without a stack only an unregister still belongs to the exit function for sure.
      if (inside === false || (inside === null && effect !== "unregister")) this.#finish(ending.owner, event);
    }
  }

  /** A module was loaded (its init runs next), used or freed. */
  moduleEvent(operation: Operation): void {
    const name = String(operation.object);
    const event = operation.event;
    const task = contextKey(event);
    if (operation.effect === "create" || operation.effect === "destroy") this.changed.add(name);
    if (operation.effect === "create") {
      const before = this.#modules.get(name);
      if (before && before.ended === null) this.#end(before, operation, event);
      const owner = makeOwner("module", name, (before?.generation ?? 0) + 1, event);
      owner.task = task;
      this.#modules.set(name, owner);
      this.#loading.set(task, owner);
      return;
    }
    let owner = this.#modules.get(name);
    if (!owner || owner.ended !== null) {
      owner = makeOwner("module", name, (owner?.generation ?? 0) + 1, null);
      this.#modules.set(name, owner);
    }
    if (operation.effect === "destroy") {
      if (this.#loading.get(task) === owner) this.#loading.delete(task);
      // Freed by the task that loaded it, and not through delete_module(): its init had failed.
      owner.failed = owner.task === task && isInside(event, "delete_module") !== true;
      this.#end(owner, operation, event);
      return;
    }
    if (operation.effect === "put" && isInitDone(operation) && this.#loading.get(task) === owner) {
      // The init function has returned; if it failed, module_free by the same task follows.
      this.#loading.delete(task);
    }
  }

  /** kvm_init and its kind: entered, returned, or exited. */
  instanceEvent(operation: Operation): void {
    const { event, effect, object } = operation;
    if (effect !== "create" && effect !== "destroy") return;
    const name = operation.class.class;
    const slot = slotOf(name, object);
    const before = this.#instances.get(slot);
    if (effect === "create") {
      // One that has entered its exit function is over when the next begins; any other, once the next is up.
      if (before?.ended === null && before.endedBy !== null) this.#finish(before, event);
      const owner = makeOwner("instance", name, (before?.generation ?? 0) + 1, event);
      owner.object = object;
      owner.module = this.loading(event);
      owner.before = before?.ended === null ? before : null;
      this.#instances.set(slot, owner);
      this.instanceResult(operation);
    } else {
      let owner = before;
      if (!owner || owner.ended !== null) {
        // Which one of several it was is not recorded, or nothing is known to belong to it.
        if (operation.spec?.object !== undefined) return;
        owner = makeOwner("instance", name, (owner?.generation ?? 0) + 1, null);
        this.#instances.set(slot, owner);
      }
      owner.endedBy = operation;
      this.#ending.push({ owner, operation, task: contextKey(event) });
    }
  }

  /** The begin of an instance has returned. */
  instanceResult(operation: Operation): void {
    const owner = this.#instances.get(slotOf(operation.class.class, operation.object));
    if (!owner || owner.began !== operation.event || operation.effect !== "create") return;
    if (operation.outcome === "pending") return;
    const { before } = owner;
    owner.before = null;
    if (operation.outcome === "done") owner.confirmed = true;
    if (operation.outcome !== "refused") {
      if (before) this.#finish(before, owner.began);
      return;
    }
    owner.failed = true;
    this.#end(owner, operation, operation.returned ?? operation.event);
    if (before?.ended === null) this.#instances.set(slotOf(owner.name, owner.object), before);
  }

  /** The exit function has returned. */
  returned(entry: AuditEvent, at: AuditEvent): void {
    const ending = this.#ending.find((candidate) => candidate.operation.event === entry);
    if (ending) this.#finish(ending.owner, at);
  }

  #finish(owner: Owner, at: AuditEvent): void {
    this.#ending = this.#ending.filter((ending) => ending.owner !== owner);
    if (owner.ended === null) this.#end(owner, owner.endedBy, at);
  }

  #end(owner: Owner, by: Operation | null, at: AuditEvent): void {
    if (owner.ended !== null) return;
    owner.endedBy = by;
    owner.ended = at;
    this.#onEnd(owner, at);
    if (owner.object !== null) this.#instances.delete(slotOf(owner.name, owner.object));
    if (owner.kind !== "module") return;
    // An instance cannot outlive the module whose init began it.
    for (const instance of this.#instances.values()) {
      if (instance.module === owner && instance.ended === null) this.#end(instance, instance.endedBy ?? by, at);
    }
  }
}

function slotOf(name: string, object: ObjectKey | null): string {
  return object === null ? name : `${name}/${object}`;
}

function makeOwner(kind: Owner["kind"], name: string, generation: number, began: AuditEvent | null): Owner {
  return {
    kind,
    name,
    object: null,
    generation,
    began,
    endedBy: null,
    ended: null,
    failed: false,
    confirmed: false,
    module: null,
    before: null,
    task: null,
  };
}

/** load_module() drops the init reference in do_init_module(), whether init failed or not (kernel/module/main.c). */
function isInitDone(operation: Operation): boolean {
  return operation.callSite === "do_init_module";
}
