/** Where this kernel has a catalogued function, or why it cannot be probed. */
import type { PlannedClass } from "../plan.js";
import type { BtfPrototype } from "./btf.js";
import type { CodeFunction } from "./function.js";
import type { KernelView } from "./kernel-view.js";

export type Missing = PlannedClass["missing"][number];

export interface LocatedFunction {
  /** Module; null for the kernel itself. */
  module: string | null;
  /** Symbol to probe, clone suffix included. */
  symbol: string;
  /** A clone's arguments are not those of the prototype. */
  clone: boolean;
  /** Null for functions of the kernel itself whose code was not read. */
  code: CodeFunction | null;
  prototype: BtfPrototype | null;
}

/** Finds a function: in the class's own module first, then in the other modules, then in the kernel itself. */
export function locateFunction(view: KernelView, name: string, module: string | undefined): LocatedFunction | Missing {
  const own = module === undefined ? undefined : view.modules.get(module);
  const others = [...view.modules.values()].filter((other) => other !== own);
  for (const candidate of own === undefined ? others : [own, ...others]) {
    const found = inModule(view, candidate.name, name);
    if (found !== null) return found;
  }
  const builtIn = inKernel(view, name);
  if (builtIn !== null) return builtIn;
  // A class's module may be built in; then its functions are the kernel's.
  if (module !== undefined && own === undefined && view.symbols?.has(module) !== true) {
    return { function: name, reason: "not-configured", text: `there is no module ${module}` };
  }
  return {
    function: name,
    reason: "other-era",
    text: "there is no such function: it is another era's, or inlined everywhere",
  };
}

function inModule(view: KernelView, moduleName: string, name: string): LocatedFunction | Missing | null {
  const module = view.modules.get(moduleName);
  const symbols = module?.sources.get(name);
  if (module === undefined || symbols === undefined) return null;
  const whole = symbols.find((symbol) => symbol === name) ?? symbols.find(isWhole);
  if (whole === undefined) {
    return { function: name, reason: "inlined", text: `only a part of it is left (${symbols.join(", ")})` };
  }
  const [code, ...more] = module.symbols.get(whole) ?? [];
  if (code === undefined || more.length > 0) {
    return { function: name, reason: "limit", text: `${moduleName} has ${more.length + 1} functions of this name` };
  }
  if (!code.probeable || view.blacklist?.has(whole) === true) {
    return { function: name, reason: "blacklisted", text: "kprobes refuse it" };
  }
  if (!code.traceable) return { function: name, reason: "blacklisted", text: "ftrace has no place in it (notrace)" };
  const prototype = (module.btf ?? view.btf).prototype(name);
  return { module: moduleName, symbol: whole, clone: whole !== name, code, prototype };
}

/** `.isra` and `.constprop` are whole functions with other arguments; `.part` and `.cold` are pieces. */
function isWhole(symbol: string): boolean {
  return !/\.(?:part|cold)/.test(symbol);
}

function inKernel(view: KernelView, name: string): LocatedFunction | Missing | null {
  const { symbols } = view;
  const clone = symbols === null || symbols.count(name, null) > 0 ? null : symbols.clones(name, null).find(isWhole);
  const symbol = clone ?? name;
  const count = symbols === null ? Number(view.btf.hasFunction(name)) : symbols.count(symbol, null);
  if (count === 0) return null;
  if (count > 1) return { function: name, reason: "limit", text: `the kernel has ${count} functions of this name` };
  if (view.blacklist?.has(symbol) === true) return { function: name, reason: "blacklisted", text: "kprobes refuse it" };
  if (view.traceable?.has(symbol) === false) {
    return { function: name, reason: "blacklisted", text: "ftrace has no place in it (notrace)" };
  }
  const [code = null] = view.builtIn?.symbols.get(symbol) ?? [];
  return { module: null, symbol, clone: symbol !== name, code, prototype: view.btf.prototype(name) };
}

export function isMissing(found: LocatedFunction | Missing): found is Missing {
  return "reason" in found;
}
