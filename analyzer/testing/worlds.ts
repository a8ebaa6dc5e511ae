/**
 * Made-up machines with a true counter. Each operation is recorded by a probe that reads the counter first; the
 * instruction runs some time after, at the latest before the next record of its task or its CPU. What comes out are the
 * lines that the kernel would have printed.
 */
export interface WorldPlan {
  cpus: number;
  /** References held when the trace begins; 1 is a new object. */
  start: number;
  steps: readonly WorldStep[];
}

/** `cpu` picks where something happens; what cannot happen now is passed over. */
export type WorldStep =
  | { kind: "get" | "put" | "try-get"; cpu: number; pause: number }
  /** The instruction that this CPU has before it runs. */
  | { kind: "run"; cpu: number }
  /** An event of no class: it ends the window of its CPU. */
  | { kind: "other"; cpu: number; pause: number }
  /** The CPU's task goes on elsewhere. */
  | { kind: "migrate"; cpu: number; to: number };

export interface WorldTrace {
  lines: string[];
  /** Indexes of lines that record a get or put, and what each changed. */
  operations: { line: number; delta: number }[];
  /** References at the end. */
  value: number;
}

export const OBJECT = "0xffffca47c0421000";
const FIRST_US = 10_000_000;
/** Nobody puts what others rely on: the object stays alive while the world runs. */
const LEAST = 3;

interface Pending {
  delta: number;
  task: number;
}

export function runWorld(plan: WorldPlan): WorldTrace {
  let now = FIRST_US;
  let value = plan.start;
  const lines: string[] = [];
  const operations: WorldTrace["operations"] = [];
  const tasks = Array.from({ length: plan.cpus }, (_, cpu) => 100 + cpu);
  const pending = new Map<number, Pending>();

  const run = (cpu: number) => {
    const operation = pending.get(cpu);
    if (operation) value += operation.delta;
    pending.delete(cpu);
  };
  const beforeRecord = (cpu: number, task: number) => {
    run(cpu);
    for (const [other, operation] of pending) if (operation.task === task) run(other);
  };
  const write = (cpu: number, task: number, text: string) => lines.push(line(now, cpu, task, text));
  const operate = (cpu: number, kind: "get" | "put" | "try-get") => {
    const task = tasks[cpu] as number;
    beforeRecord(cpu, task);
    const certain = value + [...pending.values()].reduce((sum, { delta }) => sum + Math.min(0, delta), 0);
    if (kind === "put" && certain <= LEAST) return;
    // A compare-and-exchange that loses the race changes nothing and is tried again, by another hit of its probe.
    const fails = kind === "try-get" && now % 3 === 0;
    const delta = kind === "put" ? -1 : fails ? 0 : 1;
    const site = {
      get: "kvm_vm_ioctl+0xcde/0x13a0",
      put: "kvm_put_kvm+0x11/0x80",
      "try-get": "kvm_get_kvm_safe+0x1a/0x40",
    }[kind];
    if (kind !== "try-get") operations.push({ line: lines.length, delta });
    write(cpu, task, `uc: (${site} [kvm]) kvm=${OBJECT} refs=${value} delta=${kind === "put" ? -1 : 1}`);
    pending.set(cpu, { delta, task });
  };

  for (const step of plan.steps) {
    if ("pause" in step) now += step.pause;
    const cpu = step.cpu % plan.cpus;
    switch (step.kind) {
      case "run":
        run(cpu);
        break;
      case "other":
        beforeRecord(cpu, tasks[cpu] as number);
        write(cpu, tasks[cpu] as number, "sched_wakeup: comm=kworker/0:1 pid=17 prio=120 target_cpu=000");
        break;
      case "migrate": {
        const to = step.to % plan.cpus;
        [tasks[cpu], tasks[to]] = [tasks[to] as number, tasks[cpu] as number];
        break;
      }
      default:
        operate(cpu, step.kind);
    }
  }
  for (const cpu of tasks.keys()) run(cpu);
  // All is quiet; the value is read once more.
  now += 1_000_000;
  for (const cpu of tasks.keys()) {
    write(cpu, tasks[cpu] as number, "sched_wakeup: comm=kworker/0:1 pid=17 prio=120 target_cpu=000");
  }
  now += 1_000_000;
  operate(0, "get");
  return { lines, operations, value };
}

export function line(us: number, cpu: number, tid: number, text: string, comm = "wl"): string {
  const time = `${Math.floor(us / 1_000_000)}.${String(us % 1_000_000).padStart(6, "0")}`;
  return `${comm}-${tid} [${String(cpu).padStart(3, "0")}] d.Z.. ${time}: ${text}`;
}
