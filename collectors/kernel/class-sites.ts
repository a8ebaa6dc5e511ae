/** The inlined operations on each counted class's counter: where its counter is, and which code changes it. */
import type { Catalog } from "../catalog/catalog.js";
import type { ClassEntry } from "../catalog/schema.js";
import type { CodeFunction } from "./function.js";
import { sourceName } from "./function.js";
import { ARGUMENT_REGISTERS } from "./instructions.js";
import type { KernelView } from "./kernel-view.js";
import type { ModuleCode } from "./modules.js";
import { type CounterOperation, findOperations } from "./operations.js";
import { describeSite, matchCounter, type Site } from "./sites.js";

export interface ClassSite {
  class: ClassEntry;
  /** null for the kernel itself. */
  module: string | null;
  /** Symbol that contains it, clone suffix included. */
  symbol: string;
  site: Site;
}

/** An operation that is, or may be, on the class's counter but cannot be recorded. */
export interface LostSite {
  class: ClassEntry;
  symbol: string;
  offset: number;
  why: "object" | "uncertain" | "patched" | "blacklisted";
}

export interface ClassSites {
  found: ClassSite[];
  lost: LostSite[];
  /** Bytes from an object to its counter, by class; absent where it is not known. */
  offsets: ReadonlyMap<string, number>;
}

/** Offsets beyond this are no accident, even where no types tell whose they are. */
const DISTINCT = 0x100;

export function findClassSites(view: KernelView, catalog: Catalog): ClassSites {
  const counted = [...catalog.classes.values()].filter(
    ({ counter, struct }) => counter !== undefined && struct !== undefined,
  );
  const operations = new Map<string | null, [CodeFunction, CounterOperation[]][]>();
  for (const entry of counted) {
    const code = codeOf(view, entry);
    if (code === null || operations.has(code.name)) continue;
    const list = code.functions.map((one): [CodeFunction, CounterOperation[]] => [one, findOperations(one)]);
    operations.set(
      code.name,
      list.filter(([, found]) => found.length > 0),
    );
  }
  const operationsOn = (entry: ClassEntry) => operations.get(codeOf(view, entry)?.name ?? null) ?? [];
  const offsets = new Map<string, number>();
  for (const entry of counted) {
    const offset = counterOffset(view, entry, operationsOn(entry));
    if (offset !== null) offsets.set(entry.class, offset);
  }
  const found: ClassSite[] = [];
  const lost: LostSite[] = [];
  for (const entry of counted) {
    const module = codeOf(view, entry);
    const offset = offsets.get(entry.class);
    if (module === null || offset === undefined) continue;
    const others = counted.filter((other) => other !== entry && other.module === entry.module);
    const unique = isUnique(module, view, entry, offset);
    for (const [code, list] of operationsOn(entry)) {
      const source = sourceName(code.names[0] ?? "");
      const listed = source in entry.sites;
      for (const operation of list) {
        const counter = { struct: entry.struct as string, offset };
        const match = matchCounter(operation, counter, code, module.btf ?? typesOf(view, entry));
        if (match === "other") continue;
        const sure = match === "typed" || listed || unique;
        // Where the offset alone speaks, a function that is another class's is taken for that.
        if (!sure && others.some((other) => source in other.sites)) continue;
        const site = sure ? describeSite(operation, counter) : null;
        const symbol = code.names[0] ?? "";
        const why = !sure ? "uncertain" : site === null ? "object" : forbids(code, operation);
        if (site !== null && why === null) found.push({ class: entry, module: module.name, symbol, site });
        else lost.push({ class: entry, symbol, offset: operation.offset, why: why ?? "object" });
      }
    }
  }
  return { found, lost, offsets };
}

type Code = Pick<ModuleCode, "functions" | "btf"> & { name: string | null };

/** Where the class's code is: in its module, or in the kernel itself. */
function codeOf(view: KernelView, { module }: ClassEntry): Code | null {
  const own = module === undefined ? undefined : view.modules.get(module);
  if (own !== undefined) return own;
  return view.builtIn === null ? null : { ...view.builtIn, name: null, btf: null };
}

/** The kernel's types where they know the class's struct. */
function typesOf(view: KernelView, entry: ClassEntry) {
  return entry.struct !== undefined && view.btf.sizeOf(entry.struct) !== null ? view.btf : null;
}

function forbids(code: CodeFunction, { offset, bytes }: CounterOperation): LostSite["why"] | null {
  const end = offset + bytes.length / 2;
  if (code.patched.some((range) => range.start < end && range.end > offset)) return "patched";
  return code.probeable ? null : "blacklisted";
}

/** Whether no other struct that the module knows has a counter at this offset. */
function isUnique(module: Code, view: KernelView, entry: ClassEntry, offset: number): boolean {
  const btf = module.btf ?? typesOf(view, entry);
  if (btf === null) return offset >= DISTINCT;
  for (const struct of btf.structsWithCounterAt(offset)) if (struct !== entry.struct) return false;
  return true;
}

/** By BTF; else by what the code of functions that do nothing but count shows; else as the catalogue says. */
function counterOffset(
  view: KernelView,
  { counter, struct, module, functions }: ClassEntry,
  operations: readonly [CodeFunction, CounterOperation[]][],
): number | null {
  if (counter === undefined || struct === undefined) return null;
  const btf = view.modules.get(module ?? "")?.btf ?? view.btf;
  const fields = typeof counter.field === "string" ? [counter.field] : (counter.field ?? []);
  for (const path of fields) {
    const field = btf.field(struct, path);
    if (field !== null) return field.offset;
  }
  if (btf.sizeOf(struct) !== null) return null;
  const shown = new Set<number>();
  for (const [code, list] of operations) {
    const spec = functions[code.names[0] ?? ""];
    const [effect, ...more] = spec?.effects ?? [];
    if (spec === undefined || effect === undefined || more.length > 0) continue;
    if (effect.effect !== "get" && effect.effect !== "put") continue;
    const names = spec.prototype.slice(spec.prototype.indexOf("(") + 1).split(",");
    const index = names.findIndex((text) => text.replace(/[\s)]+$/, "").endsWith(effect.object ?? "\0"));
    const register = ARGUMENT_REGISTERS[index];
    for (const { address } of list) {
      if (address.root?.kind === "argument" && address.root.register === register) shown.add(address.add);
    }
  }
  const [only, ...others] = shown;
  if (only !== undefined && others.length === 0) return only;
  return counter.offset ?? null;
}
