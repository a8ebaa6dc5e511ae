/**
 * What holds the references of a class: files and attachments, counted as they open and close.
 *
 * A holder that opens takes its reference by an inlined get of the same task, right before or after. So the trace itself
 * teaches which instruction serves which kind: a get that no holder goes with was made for a kind whose opening nobody
 * records - or, at an instruction that serves a recorded kind, by a call that failed and kept it.
 */
import type { ClassEntry } from "../../collectors/catalog/schema.js";
import type { Operation } from "../decode/operation.js";

interface Count {
  opened: number;
  closed: number;
}

interface Site {
  function: string;
  gets: number;
  /** Gets that went with the opening of a holder, by its kind. */
  served: Map<string, number>;
}

export interface HolderBalance {
  /** Holders that are open now, over all objects; null when it cannot be told (closed ones were never opened). */
  open: number | null;
  /** Kinds of which the number is not recorded. */
  unknown: string[];
}

/** The last step of a task towards a holder that still lacks its other half. */
type Half = { site: Site } | { kind: string };

export class HolderCounts {
  readonly #counts = new Map<string, Map<string, Count>>();
  readonly #sites = new Map<string, Map<string, Site>>();
  readonly #halves = new Map<string, Half>();

  note(operation: Operation): void {
    const { holder, effect } = operation;
    if (holder === null || operation.outcome === "refused") return;
    const kinds = this.#counts.get(operation.class.class) ?? new Map<string, Count>();
    this.#counts.set(operation.class.class, kinds);
    const count = kinds.get(holder) ?? { opened: 0, closed: 0 };
    kinds.set(holder, count);
    if (effect === "open") {
      count.opened++;
      this.#meet(operation, { kind: holder });
    } else count.closed++;
  }

  noteGet(operation: Operation): void {
    if (!operation.site || operation.effect !== "get") return;
    const sites = this.#sites.get(operation.class.class) ?? new Map<string, Site>();
    this.#sites.set(operation.class.class, sites);
    const { at, name } = operation.event.probe;
    const key = at?.address?.toString(16) ?? `${at?.symbol ?? name}+${at?.offset ?? "?"}`;
    const site = sites.get(key) ?? { function: operation.function, gets: 0, served: new Map<string, number>() };
    sites.set(key, site);
    site.gets++;
    this.#meet(operation, { site });
  }

  /** `has` says whether the kernel may have a function: kinds that it lacks are none. */
  balance(entry: ClassEntry, has: (name: string) => boolean): HolderBalance {
    const counts = this.#counts.get(entry.class);
    if (!counts) return { open: null, unknown: [] };
    const unknown: string[] = [];
    let open = 0;
    for (const kind of holderKinds(entry, has)) {
      const { opened, closed } = counts.get(kind) ?? { opened: 0, closed: 0 };
      const made = opened > 0 ? opened : this.#madeBySites(entry, kind);
      if (made === null) {
        unknown.push(kind);
        continue;
      }
      // More closed than opened: some were open before the trace began, and nobody knows how many.
      if (closed > made) return { open: null, unknown };
      open += made - closed;
    }
    return { open, unknown };
  }

  /** Brings a get and the opening of a holder by the same task together. */
  #meet(operation: Operation, half: Half): void {
    const task = `${operation.class.class}/${operation.event.tid}`;
    const other = this.#halves.get(task);
    const site = "site" in half ? half.site : other && "site" in other ? other.site : null;
    const kind = "kind" in half ? half.kind : other && "kind" in other ? other.kind : null;
    if (site === null || kind === null || !serves(operation.class, site, kind)) {
      this.#halves.set(task, half);
      return;
    }
    this.#halves.delete(task);
    site.served.set(kind, (site.served.get(kind) ?? 0) + 1);
  }

  /** How many holders of a kind were made, where only gets tell: at instructions that serve no recorded kind. */
  #madeBySites(entry: ClassEntry, kind: string): number | null {
    let made: number | null = null;
    for (const site of this.#sites.get(entry.class)?.values() ?? []) {
      if (!serves(entry, site, kind)) continue;
      made = (made ?? 0) + (site.served.size > 0 ? 0 : site.gets);
    }
    return made;
  }
}

function serves(entry: ClassEntry, site: Site, kind: string): boolean {
  return entry.sites[site.function]?.holders?.includes(kind) === true;
}

/** All kinds of holders that the class knows and the kernel has; all of them where its module's symbols are missing. */
function holderKinds(entry: ClassEntry, has: (name: string) => boolean): string[] {
  const kinds = [
    ...Object.entries(entry.functions).map(
      ([name, { effects }]) => [name, effects.flatMap(({ holder }) => holder ?? [])] as const,
    ),
    ...Object.entries(entry.sites).map(([name, { holders }]) => [name, holders ?? []] as const),
  ].filter(([, of]) => of.length > 0);
  const present = kinds.filter(([name]) => has(name));
  return [...new Set((present.length > 0 ? present : kinds).flatMap(([, of]) => of))];
}
