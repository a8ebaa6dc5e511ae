/**
 * Entry and return of catalogued functions, paired per task (design, section 8.2): last in first out by function;
 * the idle task by task and CPU; interrupt context apart, unless the flags describe the breakpoint.
 */
import type { CodeLocation, TraceEvent } from "../import/trace-event.js";
import { withoutCloneSuffix } from "./interpret.js";
import type { Call } from "./operation.js";

const FLAG_HARDIRQ = 0x08;
const FLAG_SOFTIRQ = 0x10;
const FLAG_NMI = 0x40;

/** Deeper than any call chain of catalogued functions; what lies below has lost its return. */
const MAX_DEPTH = 16;

const NONE: readonly Call[] = [];

export class Calls {
  readonly #open = new Map<number, Call[]>();

  /** Open calls of the event's task, outermost first. */
  of(event: TraceEvent): readonly Call[] {
    return this.#open.get(contextKey(event)) ?? NONE;
  }

  /** The innermost open call of a function, when it can still be running. */
  innermost(event: TraceEvent, name: string): Call | null {
    const stack = this.of(event);
    for (let depth = stack.length - 1; depth >= 0; depth--) {
      const call = stack[depth];
      if (call?.function.name === name) return call;
    }
    return null;
  }

  /** The open calls of every task. */
  all(): Iterable<readonly Call[]> {
    return this.#open.values();
  }

  /**
   * Opens a call; those that the event's stack shows to have ended without a return are dropped.
   * @param returns whether returns of the function are recorded
   */
  enter(event: TraceEvent, call: Call, returns: boolean): void {
    const key = contextKey(event);
    let stack = this.#open.get(key);
    if (!stack) {
      stack = [];
      this.#open.set(key, stack);
    }
    // No catalogued function recurses: an older call of the same function has lost its return, and with it
    // whatever it had called. Where nobody records returns it ended long ago, and what was entered since goes on.
    const same = stack.findIndex((open) => open.function.name === call.function.name);
    if (same >= 0) stack.splice(same, returns ? stack.length : 1);
    if (event.stack) dropEnded(stack, event);
    if (stack.length >= MAX_DEPTH) stack.shift();
    stack.push(call);
  }

  /** Closes the innermost call of a function and what it had called. null when its entry was not seen. */
  leave(event: TraceEvent, name: string): Call | null {
    const key = contextKey(event);
    const stack = this.#open.get(key);
    if (!stack) return null;
    for (let depth = stack.length - 1; depth >= 0; depth--) {
      const call = stack[depth];
      if (call?.function.name !== name) continue;
      stack.length = depth;
      if (depth === 0) this.#open.delete(key);
      return call;
    }
    return null;
  }
}

/**
 * Whether the event happened inside a call of the function, as far as its stack tells; null when it has none. `entry` is
 * the call's own first event, where it is one certain call that is asked for.
 */
export function isInside(event: TraceEvent, name: string, entry: TraceEvent | null = null): boolean | null {
  const frames = event.stack?.frames;
  if (!frames || frames.length === 0) return null;
  if (frames.some((frame) => frame.symbol !== null && isCallOf(frame.symbol, name))) return true;
  // A function whose last act is another call has left the stack already (a tail call); its caller waits still.
  if (entry !== null && returnsWhereItDoes(frames, entry)) return null;
  // A return trampoline hides callers, and so does code without symbols.
  return frames.some((frame) => frame.symbol === null || frame.symbol.includes("trampoline")) ? null : false;
}

/** Whether the stack goes on where the call's own does, below the function: the same instruction is returned to. */
function returnsWhereItDoes(frames: readonly CodeLocation[], entry: TraceEvent): boolean {
  const own = entry.stack?.frames ?? [];
  // Without the function itself.
  const callers = own.length - 1;
  const above = frames.length - callers;
  if (callers < 1 || above < 0) return false;
  for (let index = 0; index < callers; index++) {
    if (!isSameCode(own[index + 1]!, frames[above + index]!)) return false;
  }
  return true;
}

function isSameCode(a: CodeLocation, b: CodeLocation): boolean {
  if (a === b) return true;
  if (a.address !== null && b.address !== null) return a.address === b.address;
  return a.symbol === b.symbol && a.offset === b.offset;
}

/** Symbol of the function, or of the system call of that name (`__do_sys_delete_module`). */
export function isCallOf(symbol: string, name: string): boolean {
  return (
    withoutCloneSuffix(symbol) === name || (symbol.endsWith(name) && /^__\w+_sys_$/.test(symbol.slice(0, -name.length)))
  );
}

function dropEnded(stack: Call[], event: TraceEvent): void {
  for (let depth = stack.length - 1; depth >= 0; depth--) {
    const call = stack[depth];
    if (call && isInside(event, call.function.name, call.entry) === false) stack.splice(depth, 1);
  }
}

/** Task of an event: its id; the idle task is one per CPU (negative). */
export function taskKey(event: TraceEvent): number {
  return event.tid === 0 ? -1 - event.cpu : event.tid;
}

/** More CPUs than a kernel can have (NR_CPUS of the largest configuration is 8192). */
const MAX_CPUS = 2 ** 14;
/** More tasks than a kernel can have (PID_MAX_LIMIT), and the idle tasks. */
const MAX_TASKS = 2 ** 23;

/** Task and context that calls nest in. Equal to `taskKey` outside of interrupts. */
export function contextKey(event: TraceEvent): number {
  const task = taskKey(event);
  const flags = event.flags;
  if (flags === null || (flags & FLAG_NMI) !== 0) return task;
  if ((flags & FLAG_HARDIRQ) !== 0) return interruptKey(task, 1, event.cpu);
  if ((flags & FLAG_SOFTIRQ) !== 0) return interruptKey(task, 2, event.cpu);
  return task;
}

function interruptKey(task: number, context: 1 | 2, cpu: number): number {
  return task + MAX_TASKS * 2 * (context * MAX_CPUS + (cpu % MAX_CPUS));
}
