/** All that is known of one kernel: given by files, or read from the one that runs. */
import { readFileSync } from "node:fs";
import { release as runningRelease } from "node:os";
import { basename } from "node:path";
import type { Catalog } from "../catalog/catalog.js";
import { type Btf, readBtf } from "./btf.js";
import { type BuiltInCode, readBuiltIn } from "./built-in.js";
import { buildIdOfNotes, isElf, readElf } from "./elf.js";
import type { RunningCode } from "./live-sites.js";
import { indexModules, type ModuleCode, readModules } from "./modules.js";
import { readBlacklist, readSymbols, readTraceable, type SymbolTable } from "./symbols.js";
import { KernelFileError, readKernelFile, unpackKernelFile } from "./unpack.js";

export interface KernelView {
  release: string;
  buildId: string | null;
  btf: Btf;
  modules: ReadonlyMap<string, ModuleCode>;
  /** Code of the kernel itself, as far as the catalogue names it; null where it cannot be read. */
  builtIn: BuiltInCode | null;
  /** Null when no kallsyms was given: then the kernel's own functions are those that its BTF lists. */
  symbols: SymbolTable | null;
  /** Functions that ftrace may enter, and those that kprobes refuse; null when nobody said. */
  traceable: ReadonlySet<string> | null;
  blacklist: ReadonlySet<string> | null;
}

/** Where a kernel's files are. Paths; null for what is not at hand. */
export interface KernelFiles {
  modules: string;
  btf: string;
  kallsyms: string | null;
  traceable: string | null;
  blacklist: string | null;
  notes: string | null;
}

/** The files of the kernel that runs. */
export function runningKernel(): KernelFiles {
  return {
    modules: `/lib/modules/${runningRelease()}`,
    btf: "/sys/kernel/btf/vmlinux",
    kallsyms: "/proc/kallsyms",
    traceable: "/sys/kernel/tracing/available_filter_functions",
    blacklist: "/sys/kernel/debug/kprobes/blacklist",
    notes: "/sys/kernel/notes",
  };
}

/**
 * `running`: the memory of the kernel that runs, where these are its files and it may be read.
 * @throws KernelFileError, BtfError or ElfError: which file, why, what to do.
 */
export async function openKernel(
  files: KernelFiles,
  catalog: Catalog,
  running: RunningCode | null = null,
): Promise<KernelView> {
  const { btf, buildId } = await readKernelBtf(files.btf);
  const names = new Set(
    [...catalog.classes.values()].flatMap(({ module, loaded_by, runs_code_of, table }) =>
      [module, table?.home, ...loaded_by, ...runs_code_of].filter((name) => name !== undefined),
    ),
  );
  const kallsyms = optional(files.kallsyms);
  const symbols = kallsyms === null ? null : readSymbols(kallsyms);
  return {
    release: basename(files.modules.replace(/\/+$/, "")),
    buildId: files.notes === null ? buildId : buildIdOfNotes(readKernelFile(files.notes)),
    btf,
    modules: await readModules(indexModules(files.modules), [...names], btf),
    builtIn: running === null || symbols === null ? null : readBuiltIn(catalog, running, symbols),
    symbols,
    traceable: mapped(optional(files.traceable), readTraceable),
    blacklist: mapped(optional(files.blacklist), readBlacklist),
  };
}

function mapped<T>(text: string | null, read: (text: string) => T): T | null {
  return text === null ? null : read(text);
}

/** A file of the tracing or debug file system may be missing, or not ours to read: then nobody said. */
function optional(path: string | null): string | null {
  if (path === null) return null;
  try {
    return readFileSync(path, "latin1");
  } catch {
    return null;
  }
}

/** The kernel's BTF: raw, or in a vmlinux or vmlinuz. */
async function readKernelBtf(path: string): Promise<{ btf: Btf; buildId: string | null }> {
  const data = await unpackKernelFile(readKernelFile(path), path);
  if (!isElf(data)) return { btf: readBtf(data, path), buildId: null };
  const elf = readElf(data, path);
  const section = elf.section(".BTF");
  if (section === null) {
    throw new KernelFileError(`${path}: has no BTF (CONFIG_DEBUG_INFO_BTF is off); offsets cannot be known without it`);
  }
  return { btf: readBtf(elf.content(section), path), buildId: elf.buildId() };
}
