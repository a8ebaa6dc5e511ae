/**
 * Where in the code references are taken and dropped. A function that only counts (`kvm_get_kvm`) says little: with a
 * stack, its caller is part of the call site. An instruction inside another function is known by its offset, since one
 * ioctl may hold several.
 */
import type { ClassEntry } from "../../collectors/catalog/schema.js";
import { callChain } from "../decode/call-chain.js";
import type { Operation } from "../decode/operation.js";
import type { Probe, Stack, SymbolTable } from "../import/trace-event.js";

export interface CallSite {
  id: number;
  class: ClassEntry;
  does: "get" | "put";
  /** Kernel function that contains the instruction; null for the reference that an object begins with. */
  function: string | null;
  /** Who called it, where it does nothing but count and a stack shows. */
  caller: string | null;
  /** `kvm_vm_ioctl+0xcde`, `kvm_put_kvm ← kvm_vm_release`. */
  name: string;
  /** Kinds of file whose opening takes, or whose closing drops, this reference, by the catalog; empty: not told. */
  files: readonly string[];
}

/** A function that does nothing but count: who calls it makes the difference. */
export function isCounting(entry: ClassEntry, name: string): boolean {
  return entry.functions[name]?.effects.some(({ effect }) => effect === "get" || effect === "put") === true;
}

export class CallSites {
  readonly #symbols: (source: number) => SymbolTable | null;
  readonly #byName = new Map<string, CallSite>();
  /** By what an operation is told by: its probe and stack; classes and effects of one event differ. */
  readonly #known = new Map<Probe, Map<Stack | string | null, CallSite[]>>();

  constructor(symbols: (source: number) => SymbolTable | null) {
    this.#symbols = symbols;
  }

  /** The call site of an operation that changes a counter, or creates an object; null for any other. */
  of(operation: Operation): CallSite | null {
    const { class: entry, delta, effect, event } = operation;
    if (effect === "create") return this.creation(entry);
    if (delta === 0) return null;
    const does = delta < 0 ? "put" : "get";
    let byStack = this.#known.get(event.probe);
    if (!byStack) {
      byStack = new Map();
      this.#known.set(event.probe, byStack);
    }
    const key = operation.callSite ?? event.stack;
    let sites = byStack.get(key);
    if (!sites) {
      sites = [];
      byStack.set(key, sites);
    }
    for (const site of sites) {
      if (site.class === entry && site.does === does && site.function === operation.function) return site;
    }
    const site = this.#make(operation, does);
    sites.push(site);
    return site;
  }

  /** Stands for the reference that objects of a class begin with, whether their creation was seen or not. */
  creation(entry: ClassEntry): CallSite {
    const key = `${entry.class} create`;
    const known = this.#byName.get(key);
    if (known) return known;
    const files = Object.values(entry.functions)
      .filter(({ effects }) => effects.some(({ effect }) => effect === "create"))
      .flatMap(({ effects }) => effects.flatMap(({ effect, holder }) => (effect === "open" && holder ? [holder] : [])));
    return this.#named(key, {
      class: entry,
      does: "get",
      function: null,
      caller: null,
      name: "its creation",
      files: [...new Set(files)],
    });
  }

  all(): Iterable<CallSite> {
    return this.#byName.values();
  }

  #make(operation: Operation, does: CallSite["does"]): CallSite {
    const { class: entry, event, function: name } = operation;
    const chain = callChain(this.#symbols(event.source), event);
    const caller = operation.callSite === null ? countingCaller(entry, name, chain) : tracedCaller(operation, chain);
    const offset = operation.site && !isCounting(entry, name) ? (event.probe.at?.offset ?? null) : null;
    const place = `${name}${offset === null ? "" : `+0x${offset.toString(16)}`}${caller === null ? "" : ` ← ${caller}`}`;
    const files = does === "put" ? filesClosed(entry, [name, ...chain]) : (entry.sites[name]?.holders ?? []);
    return this.#named(`${entry.class} ${does} ${place}`, {
      class: entry,
      does,
      function: name,
      caller,
      name: place,
      files,
    });
  }

  #named(key: string, site: Omit<CallSite, "id">): CallSite {
    let known = this.#byName.get(key);
    if (!known) {
      known = { id: this.#byName.size + 1, ...site };
      this.#byName.set(key, known);
    }
    return known;
  }
}

function countingCaller(entry: ClassEntry, name: string, chain: readonly string[]): string | null {
  return isCounting(entry, name) ? callerOf(entry, chain) : null;
}

/** What a tracepoint names as its caller; a return probe there leaves only its trampoline, but the stack has it. */
function tracedCaller({ callSite, function: name }: Operation, chain: readonly string[]): string | null {
  if (callSite?.includes("trampoline") !== true) return callSite;
  const own = chain.findLastIndex((one) => one.includes(name));
  return chain[own + 1] ?? callSite;
}

/** The first function of a call chain that does more than count; its address where its module is gone. */
function callerOf(entry: ClassEntry, chain: readonly string[]): string | null {
  const caller = chain.find((name) => !isCounting(entry, name)) ?? "?";
  return caller === "?" ? null : caller;
}

/** Kinds of file that the innermost function of a chain closes, of those that close any. */
function filesClosed(entry: ClassEntry, chain: readonly string[]): string[] {
  for (const name of chain) {
    const closes = entry.functions[name]?.effects.filter(({ effect }) => effect === "close") ?? [];
    if (closes.length > 0) return closes.map(({ holder }) => holder ?? `${entry.title} file`);
  }
  return [];
}
