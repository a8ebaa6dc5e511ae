/**
 * The answer of `ktally why`: who holds an object, and what has to be closed for it to go away. Made from facts alone,
 * wherever they came from.
 */
import type { ObjectView } from "../store/audit-view.js";
import type { HolderView, Holding } from "../store/holdings.js";
import { harmless } from "./harmless.js";
import { type Style, styleFor } from "./style.js";
import { seconds } from "./text.js";

export interface WhyFacts {
  /** null: everything. */
  asked: string | null;
  /** The objects asked for, the newest life first. */
  holdings: readonly Holding[];
  /** What lives on the code of a module that was asked for: it has to go first. */
  users: readonly Holding[];
}

/** Objects that are told in full; of more there is a line that counts them. */
const MOST = 20;
const FRAMES = 6;

export function whyReport({ asked, holdings, users }: WhyFacts, color: boolean): string {
  const style = styleFor(color);
  const lines: string[] = [];
  const told = [...users, ...holdings];
  for (const holding of told.slice(0, MOST)) lines.push(...holdingLines(holding, style), "");
  if (told.length > MOST) lines.push(style.faint(`and ${told.length - MOST} more`), "");
  lines.push(...stepLines(asked, told, style));
  return `${lines.join("\n")}\n`;
}

function holdingLines({ object, holders, findings }: Holding, style: Style): string[] {
  const lines = [`${style.strong(harmless(labelOf(object)))}   ${stateOf(object)}`];
  for (const holder of holders) lines.push(...holderLines(holder, style));
  if (object.state === "alive" && holders.length === 0) {
    const isTold = object.refs_last !== null && findings.length === 0;
    lines.push(isTold ? "  nobody holds it" : "  who holds it was not recorded");
  }
  for (const finding of findings) {
    lines.push(
      `  ${style.verdict(finding.verdict, `${finding.rule} · ${finding.verdict}`)}   ${harmless(finding.title)}`,
    );
    if (finding.rule === "unregister-stuck") lines.push(`    ${harmless(finding.explanation)}`);
  }
  return lines;
}

function holderLines(holder: HolderView, style: Style): string[] {
  const who = holder.kind === "unseen" ? "" : `   ${taskOf(holder) ?? "task not known"}`;
  const since = holder.since_ns === null ? "" : `, since ${seconds(holder.since_ns)}`;
  const where = holder.call_site === null || holder.kind === "creation" ? "" : `   taken at ${holder.call_site}`;
  const whose = holder.object === null ? ", of one of them" : "";
  const lines = [harmless(`  ${many(holder)}${holder.what}${who}${since}${where}${whose}`)];
  if (holder.stack.length > 0) {
    const more = holder.stack.length > FRAMES ? " ← …" : "";
    lines.push(style.faint(harmless(`      ← ${holder.stack.slice(0, FRAMES).join(" ← ")}${more}`)));
  }
  return lines;
}

/** What to close, what was taken last first: that is the order in which it was made to be undone. */
function stepLines(asked: string | null, told: readonly Holding[], style: Style): string[] {
  const leaked = told.filter(({ findings }) =>
    findings.some(({ rule, level }) => rule === "leak" && level === "error"),
  );
  const holders = told
    .filter((holding) => !leaked.includes(holding))
    .flatMap((holding) => holding.holders.map((holder) => ({ holder, object: holding.object })))
    .sort((a, b) => Number((b.holder.since_ns ?? 0n) - (a.holder.since_ns ?? 0n)));
  const lines = leaked.map(({ object }) =>
    harmless(
      `${labelOf(object)} is leaked: no file that was recorded holds it, so none can be closed. It stays until reboot.`,
    ),
  );
  const steps = [...new Set(holders.map(({ holder, object }) => stepOf(holder, object)))];
  if (steps.length > 0) {
    lines.push(style.strong(harmless(`to let go of ${asked ?? "all of it"}, in this order`)));
    lines.push(...steps.map((step, index) => harmless(`  ${index + 1}. ${step}`)));
  } else if (leaked.length === 0) {
    const gone = told.every(({ object }) => object.state === "destroyed");
    lines.push(gone ? "It is gone." : "Nothing that was recorded has to be closed.");
  }
  return lines;
}

function stepOf(holder: HolderView, object: ObjectView): string {
  const task = taskOf(holder);
  const of = ` of ${object.label}`;
  if (holder.kind === "file" || holder.kind === "open") {
    const look = holder.tid === null ? "" : ` (ls -l /proc/${holder.tid}/fd)`;
    return task === null ? `close the ${holder.what}${of}` : `${task}: close the ${holder.what}${of}${look}`;
  }
  if (holder.what === "registration") return `unregister ${object.label}`;
  if (holder.kind === "creation") return `end ${object.label}: what made it still has it`;
  if (holder.kind === "unseen") return `find who else holds ${object.label}: ${many(holder)}${holder.what}`;
  const where = holder.call_site === null ? "" : ` taken at ${holder.call_site}`;
  return `${task === null ? "" : `${task}: `}let go of the ${holder.what}${where}${of}`;
}

function labelOf(object: ObjectView): string {
  return object.generation > 1 ? `${object.label} (life ${object.generation})` : object.label;
}

function stateOf(object: ObjectView): string {
  if (object.state === "destroyed") {
    return object.destroyed_ns === null ? "gone" : `gone since ${seconds(object.destroyed_ns)}`;
  }
  if (object.state === "replaced") return "gone: another one has its address";
  return object.refs_last === null ? "alive, its counter is not known" : `alive, counter ${object.refs_last}`;
}

function many({ count }: HolderView): string {
  return count === 1 ? "" : `${count} × `;
}

function taskOf({ comm, tid }: HolderView): string | null {
  if (tid === null) return null;
  return comm === null || comm === "" ? `task ${tid}` : `${comm} (${tid})`;
}
