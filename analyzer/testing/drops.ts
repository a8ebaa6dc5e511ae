/** Takes events out of a recording, as lost buffers, late starts and grep do. */
import type { Gap, TraceEvent, TraceItem } from "../import/trace-event.js";

export type DropPlan =
  | { kind: "random"; keep: (index: number) => boolean; cpu: number | null }
  | { kind: "window"; from: number; to: number; cpu: number | null }
  | { kind: "start"; to: number }
  | { kind: "end"; from: number };

/**
 * The items that are left. With `marked`, each run of missing events of a CPU is followed by a mark, as the kernel
 * prints it before that CPU's next event; what is missing at a CPU's very end has none.
 */
export function drop(items: readonly TraceItem[], plan: DropPlan, marked: boolean): TraceItem[] {
  const kept: TraceItem[] = [];
  const last = new Map<number, TraceEvent>();
  const missing = new Map<number, number>();
  for (const [index, item] of items.entries()) {
    if (item.kind === "gap") {
      kept.push(item);
      continue;
    }
    if (isDropped(plan, item, index, items.length)) {
      missing.set(item.cpu, (missing.get(item.cpu) ?? 0) + 1);
      continue;
    }
    const lost = missing.get(item.cpu) ?? 0;
    if (lost > 0 && marked) kept.push(mark(item, last.get(item.cpu) ?? null, lost));
    missing.delete(item.cpu);
    last.set(item.cpu, item);
    kept.push(item);
  }
  return relink(kept);
}

function isDropped(plan: DropPlan, event: TraceEvent, index: number, length: number): boolean {
  switch (plan.kind) {
    case "random":
      return (plan.cpu === null || plan.cpu === event.cpu) && !plan.keep(index);
    case "window":
      return (plan.cpu === null || plan.cpu === event.cpu) && index >= plan.from * length && index < plan.to * length;
    case "start":
      return index < plan.to * length;
    case "end":
      return index >= plan.from * length;
  }
}

function mark(event: TraceEvent, before: TraceEvent | null, lost: number): Gap {
  return { kind: "gap", code: "lost-events", cpu: event.cpu, from: before?.time ?? null, to: event.time, lost };
}

/** The next record of a CPU is the next one that is left. */
function relink(items: readonly TraceItem[]): TraceItem[] {
  const next = new Map<number, bigint>();
  const linked: TraceItem[] = [];
  for (let index = items.length - 1; index >= 0; index--) {
    const item = items[index] as TraceItem;
    if (item.kind === "gap") {
      linked.push(item);
      continue;
    }
    linked.push({ ...item, nextOnCpu: next.get(item.cpu) ?? null });
    next.set(item.cpu, item.time);
  }
  return linked.reverse();
}
