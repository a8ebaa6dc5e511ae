import type { ClassEntry } from "../../collectors/catalog/schema.js";
import type { Operation } from "../decode/operation.js";
import { isCountedClass, type KernelObject } from "./objects.js";
import type { Observer } from "./world.js";

/** What clocks of two CPUs may differ by; where they count something longer than nanoseconds, nothing is later. */
const SKEW_NS = 1_000_000n;

/** Which objects of a class are gone, for operations that do not say which object they are about. */
export class Departed implements Observer {
  readonly #alive = new Map<ClassEntry, Set<KernelObject>>();
  readonly #last = new Map<ClassEntry, KernelObject>();
  /** Classes of which objects were there before the trace. */
  readonly #older = new Set<ClassEntry>();

  hears(entry: ClassEntry): boolean {
    return isCountedClass(entry) || entry.kind === "object";
  }

  began(object: KernelObject, before: KernelObject | null): void {
    const alive = this.#alive.get(object.class) ?? new Set<KernelObject>();
    this.#alive.set(object.class, alive.add(object));
    if (before) alive.delete(before);
    if (object.created === null) this.#older.add(object.class);
  }

  operation(operation: Operation, object: KernelObject): void {
    if (object.destroyed !== operation) return;
    this.#last.set(object.class, object);
    this.#alive.get(object.class)?.delete(object);
  }

  /** Of the objects that the operation may be about, the one destroyed last; null while one is left. */
  lastBefore({ class: entry, event }: Operation): KernelObject | null {
    if (this.#alive.get(entry)?.size) return null;
    const last = this.#last.get(entry);
    const end = last?.destroyed?.event;
    const isLater = end !== undefined && (end.cpu === event.cpu || event.time - end.time >= SKEW_NS);
    return last && isLater ? last : null;
  }

  /** Whether every object of the class was created in the trace; call when it is over. */
  sawAll(entry: ClassEntry): boolean {
    return !this.#older.has(entry);
  }
}
