/** What the kernel says about its own symbols: kallsyms or System.map, what ftrace may enter, what kprobes refuse. */

export interface SymbolTable {
  /** How many functions of this name there are in a module (null: the kernel itself). */
  count(name: string, module: string | null): number;
  /** Symbols of a module that are a function of this source name: itself, or its clones. */
  clones(name: string, module: string | null): readonly string[];
  /** Whether any symbol, function or not, has this name. */
  has(name: string): boolean;
}

const TEXT = new Set(["t", "T", "w", "W"]);

/** Reads `ADDRESS TYPE NAME [MODULE]`, the lines of /proc/kallsyms; System.map is the same without modules. */
export function readSymbols(text: string): SymbolTable {
  const counts = new Map<string, number>();
  const clones = new Map<string, string[]>();
  const names = new Set<string>();
  for (const line of text.split("\n")) {
    const type = line.indexOf(" ");
    if (type < 1) continue;
    const end = line.indexOf("\t", type + 3);
    const name = end < 0 ? line.slice(type + 3) : line.slice(type + 3, end);
    names.add(name);
    if (!TEXT.has(line[type + 1] ?? "")) continue;
    const module = end < 0 ? "" : line.slice(end + 2, line.indexOf("]", end));
    const key = `${module} ${name}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    const dot = name.indexOf(".");
    if (dot <= 0) continue;
    const source = `${module} ${name.slice(0, dot)}`;
    const known = clones.get(source);
    if (known === undefined) clones.set(source, [name]);
    else known.push(name);
  }
  return {
    count: (name, module) => counts.get(`${module ?? ""} ${name}`) ?? 0,
    clones: (name, module) => clones.get(`${module ?? ""} ${name}`) ?? [],
    has: (name) => names.has(name),
  };
}

/** Names in /sys/kernel/tracing/available_filter_functions, whose lines are `NAME [MODULE]`. */
export function readTraceable(text: string): ReadonlySet<string> {
  return new Set(text.split("\n").map((line) => line.split(" ", 1)[0] ?? ""));
}

/** Names in /sys/kernel/debug/kprobes/blacklist, whose lines are `START-END\tNAME`. */
export function readBlacklist(text: string): ReadonlySet<string> {
  return new Set(text.split("\n").map((line) => line.split("\t")[1]?.split(" ", 1)[0] ?? ""));
}
