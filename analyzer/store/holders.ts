/** Call sites, their pairs, and who holds what at the end, as rows. */
import type { Database } from "better-sqlite3";
import type { AuditOutcome } from "../audit.js";
import type { Operation } from "../decode/operation.js";
import type { Stack } from "../import/trace-event.js";
import { beganWith, fileOf, type Held } from "../lifecycle/balances.js";
import type { KernelObject } from "../lifecycle/objects.js";

/** `stackId` interns a stack: before the frames are written. */
export function writeHolders(
  database: Database,
  outcome: Pick<AuditOutcome, "balances" | "sites" | "files" | "world">,
  stackId: (stack: Stack | null) => number | null,
): void {
  const { balances, sites, files, world } = outcome;
  const site = database.prepare("INSERT INTO call_sites VALUES (?,?,?,?,?,?,?,?)");
  let number = 0;
  for (const entry of world.classes()) {
    for (const { gets, puts, lessons } of balances.pairs(entry)) {
      number++;
      for (const one of [...gets, ...puts]) {
        site.run(one.id, entry.class, one.does, one.name, one.function, one.caller, number, lessons);
      }
    }
  }
  const insert = database.prepare("INSERT INTO holders VALUES (?,?,?,?,?,?,?,?,?,?,'trace')");
  const rest = database.prepare("INSERT INTO holders VALUES (?,?,?,?,?,NULL,NULL,NULL,NULL,NULL,'trace')");
  const holder = (
    object: number | null,
    entry: string,
    kind: string,
    what: string,
    by: Operation,
    place: number | null,
  ) => {
    const { tid, comm, time, stack } = by.event;
    insert.run(object, entry, kind, what, 1, place, tid, comm, time, stackId(stack));
  };
  for (const object of balances.open()) {
    const entry = object.class.class;
    let known = 0;
    for (const held of balances.held(object)) {
      const [kind, what] = nameOf(held);
      known += held.count;
      for (const get of held.gets) {
        const isFirst = get.effect === "create" && held.pair.gets.length > 1;
        const name = isFirst ? firstReference(object) : what;
        holder(object.id, entry, isFirst ? "creation" : kind, name, get, sites.of(get)?.id ?? null);
      }
      let more = held.count - held.gets.length;
      const unseen = object.created === null && held.pair.gets.some((one) => one.function === null);
      if (more > 0 && unseen && (beganWith(object) ?? 0) > 0) {
        const isFile = kind === "file" && held.pair.gets.length === 1;
        rest.run(object.id, entry, isFile ? kind : "creation", isFile ? what : firstReference(object), 1);
        more--;
      }
      if (more > 0) rest.run(object.id, entry, kind, what, more);
    }
    const value = object.ledger?.value() ?? null;
    const unexplained = value === null ? 0 : value - (object.class.counter?.unused ?? 0) - known;
    if (unexplained > 0) rest.run(object.id, entry, "unseen", "reference that nobody was seen to take", unexplained);
  }
  for (const { class: entry, what, opened } of files.all()) {
    const object = opened.object === null ? undefined : world.objects.find(entry, opened.object);
    if (object?.state !== "destroyed") holder(object?.id ?? null, entry.class, "open", what, opened, null);
  }
}

/** Kind and name of what holds these references. */
function nameOf(held: Held): [kind: string, what: string] {
  const file = fileOf(held);
  if (file !== null) return ["file", file];
  const isFirst = held.pair.gets.every((one) => one.function === null);
  return isFirst ? ["creation", firstReference(held.object)] : ["reference", "reference"];
}

/** What an object's first reference stands for. */
function firstReference(object: KernelObject): string {
  return object.class.table ? "registration" : "reference that it began with";
}
