/** What every plan records besides its classes: where modules lie in memory, and what the kernel says about itself. */
import type { PlannedProbe } from "../plan.js";
import { memoryAt } from "./fetch.js";
import type { KernelView } from "./kernel-view.js";
import { isMissing, locateFunction } from "./locate.js";

/**
 * Kernel messages (WARN, refcount_t, KASAN come through printk), error reports (from 5.12: error_report_end), and the
 * comings and goings of modules and tasks.
 */
const TRACEPOINTS = [
  "printk:console",
  "error_report:error_report_end",
  "module:module_load",
  "module:module_free",
  "sched:sched_process_fork",
  "sched:sched_process_exit",
];

export function supportProbes(view: KernelView): PlannedProbe[] {
  const tracepoints = TRACEPOINTS.filter((name) => hasTracepoint(view, name)).map((name): PlannedProbe => {
    const [system = "", event = ""] = name.split(":");
    return { ...COMMON, event, kind: "tracepoint", module: system, symbol: event, function: event, arguments: [] };
  });
  return [...moduleMemory(view), ...tracepoints];
}

const COMMON = { offset: 0, classes: [], site: null, filter: null, rate: "rare" as const };

/** Whether the kernel or one of its modules defines a tracepoint, `system:event`. */
export function hasTracepoint(view: KernelView, name: string): boolean {
  const event = name.slice(name.indexOf(":") + 1);
  // Every tracepoint leaves this typedef for BPF (include/trace/bpf_probe.h, from 5.5 on).
  const typedef = `btf_trace_${event}`;
  return (
    view.btf.hasTypedef(typedef) || [...view.modules.values()].some(({ btf }) => btf?.hasTypedef(typedef) === true)
  );
}

/**
 * do_init_module(struct module *mod) runs when a module's code is in place and before any of it runs: its name, and
 * base and size of its memory. Types of memory are numbered as in enum mod_mem_type (from 6.4: ac3b43283923); before,
 * 0 is core_layout and 4 init_layout.
 */
function moduleMemory(view: KernelView): PlannedProbe[] {
  const found = locateFunction(view, "do_init_module", undefined);
  const name = view.btf.field("module", "name");
  if (isMissing(found) || found.clone || name === null) return [];
  const module = "%di";
  const memory = memoryFields(view).flatMap(({ number, base, size }) => [
    { name: `base${number}`, fetch: memoryAt(base, module), type: "x64" },
    { name: `size${number}`, fetch: memoryAt(size, module), type: "u32" },
  ]);
  const probe = { ...COMMON, event: found.symbol, kind: "kprobe" as const, module: null, symbol: found.symbol };
  return [
    {
      ...probe,
      function: "do_init_module",
      arguments: [{ name: "module", fetch: memoryAt(name.offset, module), type: "string" }, ...memory],
    },
  ];
}

/** Offsets in struct module, in bytes. */
function memoryFields({ btf }: KernelView): { number: number; base: number; size: number }[] {
  const all = btf.field("module", "mem");
  const base = btf.field("module_memory", "base");
  const size = btf.field("module_memory", "size");
  const each = btf.sizeOf("module_memory");
  if (all !== null && base !== null && size !== null && each !== null) {
    return Array.from({ length: all.type.length }, (_, number) => {
      const start = all.offset + number * each;
      return { number, base: start + base.offset, size: start + size.offset };
    });
  }
  return [
    [0, "core_layout"],
    [4, "init_layout"],
  ].flatMap(([number, layout]) => {
    const start = btf.field("module", `${layout}.base`);
    const length = btf.field("module", `${layout}.size`);
    return start === null || length === null
      ? []
      : [{ number: number as number, base: start.offset, size: length.offset }];
  });
}
