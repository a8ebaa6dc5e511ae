/** The modules of a kernel that the catalog is about: their code, symbols and types, read from /lib/modules/RELEASE. */
import { readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type Btf, readBtf } from "./btf.js";
import { readFunctions } from "./code.js";
import { type Elf, readElf } from "./elf.js";
import type { CodeFunction } from "./function.js";
import { sourceName } from "./function.js";
import { KernelFileError, readKernelFile, unpackKernelFile } from "./unpack.js";

export interface ModuleCode {
  name: string;
  file: string;
  buildId: string | null;
  srcversion: string | null;
  /** Its own types on top of the kernel's; null where the module has none. */
  btf: Btf | null;
  /** By symbol; clone suffixes kept. Several functions may share a name. */
  symbols: ReadonlyMap<string, readonly CodeFunction[]>;
  /** By source name: itself first, then its clones. */
  sources: ReadonlyMap<string, readonly string[]>;
  functions: readonly CodeFunction[];
}

const MODULE_FILE = /\.ko(?:\.gz|\.xz|\.zst)?$/;

/** Module names -> files below a folder. Names are those of the running kernel: `-` is `_`. */
export function indexModules(folder: string): Map<string, string> {
  const found = new Map<string, string>();
  let entries: string[];
  try {
    entries = readdirSync(folder, { recursive: true, encoding: "utf8" });
  } catch (error) {
    throw new KernelFileError(
      `${folder}: cannot be read (${(error as NodeJS.ErrnoException).code}); give the kernel's own folder below /lib/modules`,
    );
  }
  for (const entry of entries) {
    if (MODULE_FILE.test(entry)) found.set(moduleName(entry), join(folder, entry));
  }
  if (found.size === 0)
    throw new KernelFileError(`${folder}: holds no modules; give the kernel's own folder below /lib/modules`);
  return found;
}

function moduleName(file: string): string {
  return basename(file).replace(MODULE_FILE, "").replaceAll("-", "_");
}

/**
 * Reads the modules of the given names, those that they depend on, and those beside and below them: a subsystem's
 * folder is where its functions move to from era to era.
 */
export async function readModules(
  index: ReadonlyMap<string, string>,
  names: readonly string[],
  kernelBtf: Btf | null,
): Promise<Map<string, ModuleCode>> {
  const folders = names.flatMap((name) => {
    const file = index.get(name);
    return file === undefined ? [] : [`${dirname(file)}/`];
  });
  const pending = [...index]
    .filter(([, file]) => folders.some((folder) => file.startsWith(folder)))
    .map(([name]) => name);
  const modules = new Map<string, ModuleCode>();
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    const file = index.get(name);
    if (file === undefined || modules.has(name)) continue;
    const elf = readElf(await unpackKernelFile(readKernelFile(file), file), file);
    modules.set(name, describeModule(name, elf, kernelBtf));
    const needs = elf.moduleInfo("depends")?.split(",") ?? [];
    pending.push(...needs.map((need) => need.replaceAll("-", "_")));
  }
  return modules;
}

export function describeModule(name: string, elf: Elf, kernelBtf: Btf | null): ModuleCode {
  const section = elf.section(".BTF");
  const functions = readFunctions(elf);
  const symbols = new Map<string, CodeFunction[]>();
  const sources = new Map<string, string[]>();
  for (const code of functions) {
    for (const symbol of code.names) {
      const same = symbols.get(symbol);
      if (same === undefined) symbols.set(symbol, [code]);
      else same.push(code);
      const source = sourceName(symbol);
      const known = sources.get(source);
      if (known === undefined) sources.set(source, [symbol]);
      else if (symbol === source) known.unshift(symbol);
      else known.push(symbol);
    }
  }
  return {
    name,
    file: elf.file,
    buildId: elf.buildId(),
    srcversion: elf.moduleInfo("srcversion"),
    btf: section === null || kernelBtf === null ? null : readBtf(elf.content(section), elf.file, kernelBtf),
    symbols,
    sources,
    functions,
  };
}
