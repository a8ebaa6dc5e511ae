import { Command, Option } from "commander";
import { renderBpftrace } from "../../collectors/bpftrace/program.js";
import { defaultCatalog } from "../../collectors/catalog/default.js";
import { renderKprobeEvents } from "../../collectors/ftrace/kprobe-events.js";
import { type KernelFiles, openKernel } from "../../collectors/kernel/kernel-view.js";
import { makePlan } from "../../collectors/kernel/make-plan.js";
import { renderTable } from "../../collectors/kernel/plan-table.js";
import type { ProbePlan } from "../../collectors/plan.js";
import { classesOf, collect } from "./class-options.js";
import { writeResult } from "./output.js";
import { planForRunning } from "./plan-for.js";
import { WrongUse } from "./wrong-use.js";

interface Options {
  modules?: string;
  btf?: string;
  kallsyms?: string;
  class?: string[];
  catalog?: string[];
  format: "kprobe_events" | "bpftrace" | "table" | "json";
}

export function probesCommand(_state: { exit: number }): Command {
  return new Command("probes")
    .description("what to record on this kernel, or on one given by its files, and what cannot be had")
    .option("--modules <folder>", "modules of another kernel, such as /lib/modules/6.12.118-amd64; wants --btf, too")
    .option("--btf <file>", "that kernel's types: raw BTF, vmlinux or vmlinuz")
    .option("--kallsyms <file>", "that kernel's symbols: a copy of /proc/kallsyms, or System.map")
    .option("--class <names>", "only these resource classes (ktally catalog list): a,b or once each", collect)
    .option("--catalog <file>", "a further catalog entry of your own; may be repeated", collect)
    .addOption(
      new Option("--format <format>", "what to print")
        .choices(["kprobe_events", "bpftrace", "table", "json"])
        .default("kprobe_events"),
    )
    .action(async (options: Options) => {
      const catalog = defaultCatalog(options.catalog);
      const named = classesOf(options.class, catalog);
      const classes = named === null ? null : new Set(named);
      const files = filesOf(options);
      const plan =
        files === null
          ? await planForRunning(catalog, classes)
          : makePlan(await openKernel(files, catalog), catalog, classes);
      await writeResult(PRINT[options.format](plan), null);
    });
}

/** Null for the kernel that runs. */
function filesOf({ modules, btf, kallsyms }: Options): KernelFiles | null {
  if (modules === undefined && btf === undefined && kallsyms === undefined) return null;
  if (modules === undefined || btf === undefined) {
    throw new WrongUse(
      "--modules and --btf describe a kernel together: give both, or none of a kernel's files for the one that runs",
    );
  }
  return { modules, btf, kallsyms: kallsyms ?? null, traceable: null, blacklist: null, notes: null };
}

/** Both programs carry the table as comments. */
const PRINT: Readonly<Record<Options["format"], (plan: ProbePlan) => string>> = {
  kprobe_events: (plan) => `${comment("#", plan)}${renderKprobeEvents(plan).join("\n")}\n`,
  bpftrace: (plan) => `${comment("//", plan)}${renderBpftrace(plan)}`,
  table: (plan) => `${renderTable(plan).join("\n")}\n`,
  json: (plan) => `${JSON.stringify(plan, null, 1)}\n`,
};

function comment(mark: string, plan: ProbePlan): string {
  const lines = renderTable(plan).map((line) => `${mark} ${line}`.trimEnd());
  const tracepoints = plan.probes.filter((probe) => probe.kind === "tracepoint");
  const names = tracepoints.map((probe) => `${probe.module}:${probe.symbol}`).join(" ");
  return `${lines.join("\n")}\n${mark}\n${mark} tracepoints to enable besides: ${names}\n`;
}
