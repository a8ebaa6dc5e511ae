/** The probe plan for a reader: what each class will show, and what could not be had and why. */
import type { PlannedClass, ProbePlan } from "../plan.js";

const COVERED: Readonly<Record<PlannedClass["covered"], string>> = {
  exactly: "exactly",
  holders: "by holders",
  partly: "partly",
  not: "not",
};

/** Lines of plain text. */
export function renderTable(plan: ProbePlan): string[] {
  const width = Math.max(5, ...plan.classes.map((entry) => entry.class.length));
  const head = `kernel ${plan.kernel.release}${plan.kernel.buildId === null ? "" : `, build id ${plan.kernel.buildId}`}`;
  const sure =
    plan.compared === true ? "compared with the running kernel's memory" : "those of the files and build ids";
  const lines = [
    head,
    `instructions of inlined operations: ${sure}`,
    "",
    `${"class".padEnd(width)}  covered     probes`,
  ];
  for (const { class: name, covered, missing } of plan.classes) {
    const own = plan.probes.filter((probe) => probe.classes.includes(name));
    const sites = own.filter(({ site }) => (site?.effect ?? "create") !== "create").length;
    const count = `${own.length}${sites === 0 ? "" : `, ${sites} of them inlined operations`}`;
    lines.push(`${name.padEnd(width)}  ${COVERED[covered].padEnd(10)}  ${count}`);
    for (const { function: missed, text } of missing) lines.push(`${" ".repeat(width)}    without ${missed}: ${text}`);
  }
  return lines;
}
