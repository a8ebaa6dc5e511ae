/**
 * Who queued the work that a kworker runs, or the callback that waits for readers: what it does there was decided
 * elsewhere. Told by the queueing that was recorded last for it before it ran.
 */
import { isInside } from "../decode/calls.js";
import type { AuditEvent, Operation } from "../decode/operation.js";
import type { Observer } from "./world.js";

/** More works than wait at one time; of more the oldest are forgotten. */
const MOST_QUEUED = 4096;

export class Deferred implements Observer {
  /** By work: where it was queued last. */
  readonly #queued = new Map<unknown, Operation>();
  /** By task: where the work that it runs was queued. */
  readonly #running = new Map<number, Operation | null>();
  readonly #origins = new WeakMap<AuditEvent, Operation>();

  aside(operation: Operation): void {
    const { effect, object, event } = operation;
    if (object === null) return;
    if (effect === "queue") {
      this.#queued.delete(object);
      if (this.#queued.size >= MOST_QUEUED) this.#queued.delete(this.#queued.keys().next().value);
      this.#queued.set(object, operation);
    } else if (effect === "run") {
      const queued = this.#queued.get(object);
      // The tracepoint and the work's own function tell of the same run.
      if (queued || !this.#running.has(event.tid)) this.#running.set(event.tid, queued ?? null);
      this.#queued.delete(object);
    }
  }

  operation({ event }: Operation): void {
    if (this.#running.size === 0) return;
    const origin = this.#running.get(event.tid);
    if (origin && runsWork(event)) this.#origins.set(event, origin);
  }

  /** Where the work was queued that an event happened in; null for what is no deferred work, or was queued unseen. */
  origin(event: AuditEvent): Operation | null {
    return this.#origins.get(event) ?? null;
  }
}

/** Functions that run what was queued, and the names of tasks that do nothing else. */
const RUNNERS = ["process_one_work", "rcu_do_batch"];
const WORKERS = /^(kworker|ksoftirqd|rcu|rcuop|rcuos|rcuc|rcub)\b/;

function runsWork(event: AuditEvent): boolean {
  const inside = RUNNERS.map((name) => isInside(event, name));
  if (inside.includes(true)) return true;
  return inside.includes(null) && WORKERS.test(event.comm);
}
