/**
 * What one moment shows without any event: entries whose owner is gone, objects that nobody's file holds, unbinds that
 * wait. A state read from the kernel's memory proves what it shows; what it leaves open is a suspicion or a note.
 */
import { type Catalog, functionsWith } from "../../collectors/catalog/catalog.js";
import type { ClassEntry } from "../../collectors/catalog/schema.js";
import type { Snapshot } from "../../collectors/snapshot/model.js";
import type { AuditEvent } from "../decode/operation.js";
import type { World } from "../lifecycle/world.js";
import { describeHolder, type Held, whoHolds } from "../snapshot/holders.js";
import type { Finding, FindingObject } from "./finding.js";
import { makeFinding, marks } from "./make.js";
import { type Judgement, judgementOf, PROVEN } from "./verdict.js";

/** A snapshot and the event that stands for it in the audit. */
export interface Moment {
  snapshot: Snapshot;
  /** What this one shows, too, is not told. */
  before: Snapshot | null;
  event: AuditEvent;
}

/** Findings of snapshots, those left out that the events have told already, or whose object they saw go. */
export function judgeSnapshots(
  moments: readonly Moment[],
  found: readonly Finding[],
  catalog: Catalog,
  { objects }: Pick<World, "objects">,
): Finding[] {
  const findings = [...found];
  for (const moment of moments) {
    const before = moment.before === null ? [] : shownBy({ ...moment, snapshot: moment.before }, catalog);
    for (const finding of shownBy(moment, catalog)) {
      const { address } = finding.object;
      if (address !== null && objects.find(finding.class, address)?.state === "destroyed") continue;
      if (![...findings, ...before].some((known) => isSame(known, finding))) findings.push(finding);
    }
  }
  return findings;
}

function shownBy(moment: Moment, catalog: Catalog): Finding[] {
  return [...leftEntries(moment, catalog), ...heldObjects(moment, catalog)];
}

function isSame(a: Finding, b: Finding): boolean {
  if (a.rule !== b.rule || a.class !== b.class) return false;
  return a.object.address === null ? a.object.key === b.object.key : a.object.address === b.object.address;
}

/** Entries of a table while no module that could own them is loaded. */
function leftEntries(moment: Moment, catalog: Catalog): Finding[] {
  const { snapshot } = moment;
  const loaded = new Set(snapshot.modules.map(({ name }) => name));
  return snapshot.entries.flatMap(({ class: name, key, ops, symbol }) => {
    const entry = catalog.classes.get(name);
    const owner = entry?.table ? catalog.classes.get(entry.table.owner) : undefined;
    if (!entry?.table || !owner || owner.loaded_by.length === 0) return [];
    if (owner.loaded_by.some((module) => loaded.has(module))) return [];
    const named = entry.table.key_names?.[key];
    const object: FindingObject = {
      label: `${entry.title} ${entry.table.key} ${key} (${symbol ?? named ?? ops})`,
      address: null,
      key: String(key),
      generation: 1,
    };
    const finding = bySnapshot("stale-ops", "reg-leak-at-owner-exit", moment, entry, object, PROVEN);
    const [culprit = owner.title] = functionsWith(owner, "destroy");
    finding.culprit.function = culprit;
    finding.title = `${object.label} is registered, and nobody is there whom it belongs to`;
    finding.explanation = `The table has the entry, but neither of ${owner.loaded_by.join(", ")} is loaded: ${culprit} ended without unregistering it. The next load will be refused or will run on it.`;
    finding.expected = `${functionsWith(entry, "unregister").join(" or ")} before the end of ${culprit}`;
    finding.sure = "the table was read from the kernel's memory while none of these modules was loaded";
    return [finding];
  });
}

function heldObjects(moment: Moment, catalog: Catalog): Finding[] {
  const { snapshot } = moment;
  // Without these, that no file is seen says nothing.
  const seesAll = !snapshot.unread.some((sentence) => sentence.startsWith("the open files of"));
  return snapshot.objects.flatMap((object) => {
    const entry = catalog.classes.get(object.class);
    if (!entry?.counter || object.refs === null) return [];
    const held = whoHolds(snapshot, object);
    if (held.waiters.length > 0) return [waiting(moment, entry, held)];
    if (object.class !== "kvm" || !seesAll || held.holders.length > 0 || object.refs <= entry.counter.unused) return [];
    return [unheld(moment, entry, held)];
  });
}

/** A virtual machine that lives although no process has a file of it. */
function unheld(moment: Moment, entry: ClassEntry, held: Held): Finding {
  const judgement = judgementOf([
    {
      code: "by-holders",
      text: "a file that no process shows may be in flight over a socket or held by io_uring",
      probe: null,
    },
  ]);
  const finding = bySnapshot("leak", "leak", moment, entry, objectOf(held), judgement);
  finding.title = `${held.label} is alive, and no file of any process holds it`;
  finding.explanation = `Its counter is ${held.refs}, but no process shows a file of it, its vCPUs or its devices.`;
  finding.expected = "the last reference dropped with the last file";
  finding.sure = "its counter and the open files of all processes at one moment";
  return finding;
}

/** An unregister that waits: for whom, or for nobody. */
function waiting(moment: Moment, entry: ClassEntry, held: Held): Finding {
  const who = held.waiters.map(({ comm, tid }) => `${comm} (${tid})`).join(", ");
  const names = held.close.length > 0 ? held.close : held.holders.map(describeHolder);
  const isHeld = names.length > 0;
  const judgement: Judgement = isHeld
    ? { verdict: "derived", loweredBy: [] }
    : judgementOf([{ code: "by-holders", text: "one moment does not show whether the wait goes on", probe: null }]);
  const finding = bySnapshot("unregister-stuck", "unreg-stuck", moment, entry, objectOf(held), judgement);
  const [name = "an unregister"] = held.waiters.flatMap(({ stack }) =>
    stack.filter((one) => Object.hasOwn(entry.functions, one)),
  );
  finding.level = isHeld ? "note" : "error";
  finding.culprit.function = name;
  finding.culprit.context = `run by ${who}`;
  finding.title = `${held.label} does not go away: ${name} waits`;
  finding.explanation = isHeld
    ? `${who} waits until it is closed. It is held by ${names.join("; ")}.`
    : `${who} waits, but no process shows a file of it, and its counter is ${held.refs}.`;
  finding.expected = isHeld
    ? `a return once these are closed: ${names.join("; ")}`
    : "the last reference dropped with the last file";
  finding.sure = "the kernel stack of the waiting task, and the open files of all processes";
  return finding;
}

function objectOf(held: Held): FindingObject {
  return { label: held.label, address: held.address === null ? null : BigInt(held.address), key: null, generation: 1 };
}

function bySnapshot(
  rule: Finding["rule"],
  variant: string,
  { event }: Moment,
  entry: ClassEntry,
  object: FindingObject,
  judgement: Judgement,
): Finding {
  return makeFinding({
    rule,
    variant,
    judgement,
    class: entry,
    object,
    title: "",
    explanation: "",
    expected: "",
    sure: "",
    function: "not recorded",
    event: null,
    evidence: [marks(event, "a snapshot was taken")],
    trigger: null,
  });
}
