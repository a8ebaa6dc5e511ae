/** Who held what when a snapshot was taken, as rows of `holders`: where the trace itself does not say who. */
import type { Database } from "better-sqlite3";
import type { AuditOutcome } from "../audit.js";
import { whoHolds } from "../snapshot/holders.js";

export function writeSnapshotHolders(
  database: Database,
  { sources, world }: Pick<AuditOutcome, "sources" | "world">,
): void {
  const known = database
    .prepare("SELECT 1 FROM holders WHERE object = ? AND kind IN ('file', 'reference', 'open')")
    .pluck();
  const forget = database.prepare("DELETE FROM holders WHERE object = ?");
  const insert = database.prepare("INSERT INTO holders VALUES (?,?,?,?,?,NULL,?,?,NULL,NULL,'snapshot')");
  for (const { snapshot } of sources) {
    for (const object of snapshot?.objects ?? []) {
      const entry = world.classOf(object.class);
      const life = entry ? world.objects.find(entry, BigInt(object.address)) : undefined;
      if (snapshot === undefined || life?.state !== "alive" || known.get(life.id) !== undefined) continue;
      const held = whoHolds(snapshot, object);
      forget.run(life.id);
      for (const { tasks, link } of held.holders) {
        const [first] = tasks;
        const what = `${link}, ${tasks.map(({ pid, fd }) => (pid === first?.pid ? `fd ${fd}` : `fd ${fd} of ${pid}`)).join(", ")}`;
        insert.run(life.id, object.class, "file", what, 1, first?.pid ?? null, first?.comm ?? null);
      }
      for (const own of held.own) insert.run(life.id, object.class, "creation", own, 1, null, null);
      const rest = held.unexplained ?? 0;
      if (rest > 0) {
        insert.run(life.id, object.class, "unseen", "reference that no file of a process explains", rest, null, null);
      }
    }
  }
}
