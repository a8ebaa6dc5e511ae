/** Gets against puts by call site and stack: what does not come to nothing is where to look. */
import type { Database } from "better-sqlite3";
import { AuditView } from "./audit-view.js";

export interface BalanceStack {
  count: number;
  /** Functions, innermost first; empty where no stack was recorded. */
  frames: string[];
}

export interface BalanceSite {
  /** `kvm_vm_ioctl+0xcde`, `kvm_put_kvm ← kvm_vm_release`, `its creation`. */
  name: string;
  does: "get" | "put";
  count: number;
  /** The most frequent first. */
  stacks: BalanceStack[];
}

/** Call sites that belong together: what some of them take, the others give back. */
export interface BalancePair {
  class: string;
  gets: number;
  puts: number;
  /** Gets minus puts. */
  net: number;
  /** Balanced lives in this trace that show it; 0: the catalog says so, or nothing else is left. */
  shown_by: number;
  sites: BalanceSite[];
}

/**
 * The balance of one object (`objects.id`), or of all, pairs that do not come to nothing first. References that were
 * taken before the trace are in no get: a negative net tells of them.
 */
export function balanceTree(database: Database, object: number | null = null): BalancePair[] {
  const site = "s.id, s.class, s.pair, s.shown_by, s.name, s.does";
  const rows = (
    object === null
      ? database
          .prepare(
            `SELECT ${site}, b.stack, SUM(b.count) AS count FROM balance_counts b JOIN operations k ON k.id = b.operation
             JOIN call_sites s ON s.id = k.call_site GROUP BY s.id, b.stack HAVING SUM(b.count) > 0`,
          )
          .all()
      : database
          .prepare(
            `SELECT ${site}, e.stack, COUNT(*) AS count
             FROM ledger l JOIN operations k ON k.id = l.operation JOIN call_sites s ON s.id = k.call_site
             JOIN events e ON e.id = l.event
             WHERE l.object = ? AND k.delta <> 0 AND l.outcome <> 'refused' GROUP BY s.id, e.stack`,
          )
          .all(object)
  ) as SiteRow[];
  const created = (
    object === null
      ? database
          .prepare(
            `SELECT ${site}, NULL AS stack, c.count FROM creations c
             JOIN call_sites s ON s.class = c.class AND s.function IS NULL`,
          )
          .all()
      : database
          .prepare(
            `SELECT ${site}, NULL AS stack, o.began_with AS count FROM objects o
             JOIN call_sites s ON s.class = o.class AND s.function IS NULL WHERE o.id = ? AND o.began_with > 0`,
          )
          .all(object)
  ) as SiteRow[];
  const view = new AuditView(database);
  const pairs = new Map<number, BalancePair>();
  for (const row of [...created, ...rows]) {
    const pair = pairs.get(row.pair) ?? pairOf(row);
    pairs.set(row.pair, pair);
    let site = pair.sites.find(({ name, does }) => name === row.name && does === row.does);
    if (!site) {
      site = { name: row.name, does: row.does, count: 0, stacks: [] };
      pair.sites.push(site);
    }
    site.count += row.count;
    site.stacks.push({ count: row.count, frames: view.stack(row.stack) });
    if (row.does === "get") pair.gets += row.count;
    else pair.puts += row.count;
    pair.net = pair.gets - pair.puts;
  }
  for (const pair of pairs.values()) {
    pair.sites.sort((a, b) => a.does.localeCompare(b.does) || b.count - a.count);
    for (const { stacks } of pair.sites) stacks.sort((a, b) => b.count - a.count);
  }
  return [...pairs.values()].sort(
    (a, b) => a.class.localeCompare(b.class) || Math.abs(b.net) - Math.abs(a.net) || b.gets - a.gets,
  );
}

interface SiteRow {
  id: number;
  class: string;
  pair: number;
  shown_by: number;
  name: string;
  does: "get" | "put";
  stack: number | null;
  count: number;
}

function pairOf(row: SiteRow): BalancePair {
  return { class: row.class, gets: 0, puts: 0, net: 0, shown_by: row.shown_by, sites: [] };
}
