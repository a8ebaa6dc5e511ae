/** Takes a snapshot of the running kernel: read-only, without locks, as far as it can be read here. */
import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { type Btf, readBtf } from "../kernel/btf.js";
import { type Memory, openKernelMemory } from "./kernel-memory.js";
import { KernelSymbols } from "./kernel-symbols.js";
import type { Snapshot, SnapshotFile, SnapshotObject } from "./model.js";
import { FileTable } from "./open-files.js";
import { groupedDevices, mappings, modules, openFiles, waiters } from "./processes.js";
import { type Child, type FileEntry, loadStructures, type Structure, type Structures } from "./structures.js";
import { type FieldValue, Walker } from "./walk.js";

export interface SnapshotOptions {
  /** ktally's version. */
  version: string;
  /** Kernel functions that wait for an object's holders: threads in them are told. */
  blocking: ReadonlySet<string>;
}

/** Never throws: what cannot be read is in `unread`. */
export function takeSnapshot(options: SnapshotOptions): Snapshot {
  const began = process.hrtime.bigint();
  const { files, hidden } = openFiles();
  const unread: string[] = [];
  if (hidden > 0) unread.push(`the open files of ${hidden} processes: only root may see them; run ktally as root`);
  const snapshot: Snapshot = {
    ktally: "snapshot",
    schema: 1,
    version: options.version,
    kernel: release(),
    began_ns: String(began),
    ended_ns: String(began),
    date: new Date().toISOString(),
    objects: [],
    entries: [],
    files: files
      .filter(({ pid }) => pid !== process.pid)
      .map((file) => ({ ...file, file: null, count: null, object: null })),
    mappings: mappings(),
    devices: groupedDevices(),
    modules: modules(),
    waiters: waiters(options.blocking),
    unread,
  };
  const loaded = new Set(snapshot.modules.map(({ name }) => name));
  const kernel = openKernel(unread);
  if (kernel) {
    try {
      new Reading(kernel, loadStructures(), loaded, snapshot).run();
    } finally {
      kernel.memory.close();
    }
  }
  snapshot.ended_ns = String(process.hrtime.bigint());
  return snapshot;
}

interface Kernel {
  memory: Memory;
  symbols: KernelSymbols;
  btf: Btf;
}

/** What is needed to look at the kernel's memory; null with a sentence in `unread`. */
function openKernel(unread: string[]): Kernel | null {
  const path = "/sys/kernel/btf/vmlinux";
  let memory: Memory | null = null;
  try {
    if (!existsSync(path)) throw new Error(`${path} is missing: this kernel was built without CONFIG_DEBUG_INFO_BTF`);
    memory = openKernelMemory();
    const symbols = KernelSymbols.ofRunningKernel();
    if (!symbols.areVisible()) {
      throw new Error("/proc/kallsyms hides its addresses; run ktally as root, or lower kernel.kptr_restrict");
    }
    return { memory, symbols, btf: readBtf(readFileSync(path), path) };
  } catch (error) {
    memory?.close();
    unread.push(`objects in the kernel's memory: ${(error as Error).message}`);
    return null;
  }
}

/** One look at the kernel's memory. */
class Reading {
  readonly #walkers = new Map<string, Walker | null>();
  readonly #seen = new Set<string>();

  constructor(
    readonly kernel: Kernel,
    readonly structures: Structures,
    /** Names of loaded modules. */
    readonly loaded: ReadonlySet<string>,
    readonly snapshot: Snapshot,
  ) {}

  run(): void {
    for (const structure of this.structures.structures) this.#structure(structure);
    for (const table of this.structures.tables) if (this.loaded.has(table.module)) this.#table(table);
    this.#files();
  }

  /** By the types of a module; null where it is not there or its types are not known. */
  #walker(module: string): Walker | null {
    const known = this.#walkers.get(module);
    if (known !== undefined) return known;
    const { memory, btf } = this.kernel;
    const path = `/sys/kernel/btf/${module}`;
    let types: Btf | null = btf;
    if (existsSync(path)) {
      try {
        types = readBtf(readFileSync(path), path, btf);
      } catch (error) {
        this.snapshot.unread.push((error as Error).message);
      }
    }
    const walker = types === null ? null : new Walker(memory, types, (message) => this.#complain(message));
    this.#walkers.set(module, walker);
    return walker;
  }

  #complain(message: string): void {
    if (!this.snapshot.unread.includes(message)) this.snapshot.unread.push(message);
  }

  #structure(structure: Structure): void {
    const { module, root, struct } = structure;
    if (!this.loaded.has(module) && this.kernel.symbols.find(root.symbol, null).length === 0) return;
    const walker = this.#walker(module);
    if (walker === null || walker.btf.sizeOf(struct) === null || walker.field(struct, root.link) === null) {
      this.#complain(`${structure.class} and what belongs to it: ${noTypes(struct)}`);
      return;
    }
    const heads = this.#heads(structure, walker);
    if (heads.length === 0) {
      this.#complain(`${structure.class}: there is no symbol ${root.symbol} that leads to its list`);
    }
    for (const head of heads) {
      for (const address of walker.list(head, struct, root.link, `the list of ${structure.class}`)) {
        this.#object(structure, address, null, walker);
        for (const child of structure.children) this.#children(child, structure, address, walker);
      }
    }
  }

  #heads({ module, root }: Structure, walker: Walker): bigint[] {
    const { symbols } = this.kernel;
    const named = [...symbols.find(root.symbol, module), ...symbols.find(root.symbol, null)];
    const heads = named.map((address) =>
      root.of === undefined || root.list === undefined ? address : walker.address(root.of, address, root.list),
    );
    return [...new Set(heads)].filter((head): head is bigint => head !== null && walker.isList(head)).slice(0, 1);
  }

  #children(child: Child, parent: Structure, address: bigint, walker: Walker): void {
    if (walker.btf.sizeOf(child.struct) === null) {
      this.#complain(`${child.class} of each ${parent.class}: ${noTypes(child.struct)}`);
      return;
    }
    const what = `${child.class} of ${parent.class} ${hex(address)}`;
    for (const found of this.#places(child, parent.struct, address, walker, what)) {
      this.#object(child, found, { class: parent.class, address: hex(address) }, walker);
    }
  }

  #places({ in: place, struct }: Child, owner: string, address: bigint, walker: Walker, what: string): bigint[] {
    const at = (paths: readonly string[] | undefined) =>
      paths === undefined ? null : walker.address(owner, address, paths);
    const list = at(place.list);
    if (list !== null && place.link !== undefined) return walker.list(list, struct, place.link, what);
    const xarray = at(place.xarray);
    if (xarray !== null) return walker.xarray(xarray, what);
    const array = at(place.array);
    if (array !== null && place.array) {
      const path = walker.find(owner, place.array) ?? "";
      return walker.array(array, walker.field(owner, path)?.type.length ?? 0);
    }
    const pointer = place.pointer ? walker.pointerAt(owner, address, place.pointer) : null;
    return pointer === null ? [] : [pointer];
  }

  #object(
    entry: Pick<Child, "class" | "struct" | "refs" | "values" | "links">,
    address: bigint,
    parent: SnapshotObject["parent"],
    walker: Walker,
  ): void {
    // A container is reached from each of its groups.
    const key = `${entry.class} ${address}`;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    const object: SnapshotObject = {
      class: entry.class,
      address: hex(address),
      parent,
      ...readCounter(() => (entry.refs ? walker.value(entry.struct, address, entry.refs) : null)),
      values: {},
      links: {},
    };
    for (const [name, paths] of Object.entries(entry.values)) {
      const value = walker.value(entry.struct, address, paths);
      if (value !== null) object.values[name] = plain(value);
    }
    for (const [name, paths] of Object.entries(entry.links)) {
      const target = walker.pointerAt(entry.struct, address, paths);
      if (target !== null) object.links[name] = hex(target);
    }
    this.snapshot.objects.push(object);
  }

  #table({ class: name, module, symbol }: Structures["tables"][number]): void {
    const { symbols, memory } = this.kernel;
    const [address] = symbols.find(symbol, module);
    if (address === undefined) {
      this.#complain(`${name}: there is no symbol ${symbol} in ${module}`);
      return;
    }
    const length = Math.min(symbols.roomAt(address, module) >>> 3, 64);
    const bytes = memory.read(address, length * 8);
    for (let key = 0; bytes !== null && key < length; key++) {
      const ops = bytes.readBigUInt64LE(key * 8);
      if (ops === 0n) continue;
      this.snapshot.entries.push({
        class: name,
        key,
        ops: hex(ops),
        symbol: symbols.nameAt(ops, [module]),
      });
    }
  }

  /** What the open files are about. */
  #files(): void {
    const [initTask] = this.kernel.symbols.find("init_task", null);
    const core = this.#walker("kvm");
    if (initTask === undefined || core === null || this.snapshot.files.length === 0) return;
    const table = new FileTable(core, initTask);
    for (const file of this.snapshot.files) {
      const found = table.find(file.pid, file.fd);
      if (found === null) continue;
      file.file = hex(found.file);
      file.count = found.count;
      file.object = this.#objectOf(file, found.file);
    }
  }

  #objectOf(file: SnapshotFile, address: bigint): SnapshotFile["object"] {
    const entry = this.structures.files.find(({ link }) => new RegExp(link).test(file.link));
    const walker = entry ? this.#walker(moduleOf(entry)) : null;
    if (!entry || walker === null) return null;
    const target = walker.pointerAt("file", address, entry.path);
    if (target === null) return null;
    const isKnown = (at: bigint) => this.#seen.has(`${entry.class} ${at}`);
    const { through } = entry;
    if (through === undefined || isKnown(target)) return { class: entry.class, address: hex(target) };
    const inner = walker.pointerAt(through.struct, target, through.path);
    return { class: entry.class, address: hex(inner ?? target) };
  }
}

function noTypes(struct: string): string {
  return `the kernel has no BTF of struct ${struct} (modules have none before 5.11, or without CONFIG_DEBUG_INFO_BTF_MODULES)`;
}

/** How often a counter is read that changes all the time. */
const MOST_READS = 8;

/** A counter and a time at which it had that value: it was the same before and after. */
function readCounter(read: () => FieldValue | null): Pick<SnapshotObject, "refs" | "read_ns"> {
  let before = read();
  for (let tries = 0; ; tries++) {
    const time = String(process.hrtime.bigint());
    const after = read();
    if (after === before || tries === MOST_READS) {
      return { refs: typeof after === "number" ? after : null, read_ns: time };
    }
    before = after;
  }
}

function moduleOf({ class: name }: FileEntry): string {
  return name.startsWith("vfio") ? "vfio" : "kvm";
}

function plain(value: FieldValue): number | string | boolean {
  return typeof value === "bigint" ? hex(value) : value;
}

function hex(address: bigint): string {
  return `0x${address.toString(16)}`;
}
