/** The functions in a module's file: their bytes, whom they call, where they can be entered, what the kernel patches. */
import type { Elf, Relocation, Section } from "./elf.js";
import type { CodeFunction, Range } from "./function.js";

/** R_X86_64_PC32 and R_X86_64_PLT32: relative to the end of the 4 bytes. */
const RELATIVE: ReadonlySet<number> = new Set([2, 4]);

/** Symbols of the 16 bytes before a function (CONFIG_FUNCTION_PADDING), which are no functions. */
const PADDING = /^__(?:pfx|cfi)_/;

/**
 * Sections that note where something stands in the code. They are no way into it, as the addresses in all other
 * sections may be: of jump tables, exception fixups, cold parts that jump back.
 */
const MARKS =
  /^\.(?:smp_locks|orc_|retpoline_sites|return_sites|call_sites|ibt_endbr_seal|cfi_sites|static_call_sites|altinstructions|parainstructions|debug|BTF)|^__(?:mcount_loc|bug_table|patchable_function_entries|ksymtab|kcrctab|dyndbg)|^_kprobe_blacklist$/;

/** Sections of pairs (where, where to): only the second is a way into the code. */
const PAIRS: Readonly<Record<string, number>> = { __jump_table: 16, __ex_table: 12 };

/** All functions of a relocatable file, by section and place. */
export function readFunctions(elf: Elf): CodeFunction[] {
  const marks = readMarks(elf);
  const elsewhere = new Map<string, string>();
  for (const { name, section, value } of elf.symbols().filter((symbol) => symbol.function)) {
    const place = `${section} ${value}`;
    if (!elsewhere.has(place)) elsewhere.set(place, name);
  }
  return elf.sections
    .filter((section) => section.executable)
    .flatMap((section) => functionsOf(elf, section, marks, elsewhere));
}

/** What other sections say about the code, by the code's section and offset. */
interface Marks {
  entries: ReadonlyMap<number, readonly number[]>;
  patched: ReadonlyMap<number, readonly Range[]>;
  forbidden: ReadonlyMap<number, readonly number[]>;
  traceable: ReadonlyMap<number, readonly number[]>;
}

function functionsOf(elf: Elf, section: Section, marks: Marks, elsewhere: ReadonlyMap<string, string>): CodeFunction[] {
  const content = elf.content(section);
  const byStart = new Map<number, { names: string[]; size: number }>();
  for (const symbol of elf.symbols()) {
    if (!symbol.function || symbol.section !== section.index || PADDING.test(symbol.name)) continue;
    const start = Number(symbol.value);
    const known = byStart.get(start);
    if (known === undefined) byStart.set(start, { names: [symbol.name], size: symbol.size });
    else known.names.push(symbol.name);
  }
  const nameAt = (offset: number) => byStart.get(offset)?.names[0] ?? null;
  const links = elf.relocations(section).flatMap((relocation) => linkOf(section, relocation, nameAt, elsewhere));
  const by = {
    links: sorted(links, (link) => link.offset),
    entries: sorted(marks.entries.get(section.index), (at) => at),
    patched: sorted(marks.patched.get(section.index), (range) => range.start),
    forbidden: sorted(marks.forbidden.get(section.index), (at) => at),
    traceable: sorted(marks.traceable.get(section.index), (at) => at),
  };
  return [...byStart].map(([start, { names, size }]) => {
    const end = start + size;
    return {
      names,
      section: section.name,
      bytes: content.subarray(start, end),
      start,
      links: new Map(by.links(start, end).map(({ offset, name }) => [offset - start, name])),
      nameAt,
      entries: new Set(by.entries(start + 1, end).map((at) => at - start)),
      patched: by.patched(start, end).map((range) => ({ start: range.start - start, end: range.end - start })),
      probeable: by.forbidden(start, end).length === 0 && !isForbidden(section),
      traceable: by.traceable(start - 16, end).length > 0,
    };
  });
}

/** Looks up what lies in a range, end excluded. */
function sorted<T>(items: readonly T[] | undefined, place: (item: T) => number): (start: number, end: number) => T[] {
  const list = [...(items ?? [])].sort((a, b) => place(a) - place(b));
  const places = list.map(place);
  const at = (wanted: number) => {
    let [low, high] = [0, places.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((places[middle] as number) < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return (start, end) => list.slice(at(start), at(end));
}

/** Code that kprobes never enter (include/asm-generic/vmlinux.lds.h). */
function isForbidden({ name }: Section): boolean {
  return name.startsWith(".noinstr.text") || name === ".kprobes.text" || name === ".entry.text";
}

interface Link {
  /** Place of the 4 bytes in the section. */
  offset: number;
  name: string;
}

/** The symbol that a call or jump leads to; a local one is named by its section and found by its place. */
function linkOf(
  section: Section,
  { type, symbol, offset, addend }: Relocation,
  nameAt: (offset: number) => string | null,
  elsewhere: ReadonlyMap<string, string>,
): Link[] {
  if (!RELATIVE.has(type)) return [];
  if (symbol.section === null || symbol.function) return [{ offset, name: symbol.name }];
  const target = symbol.value + addend + 4n;
  const here = symbol.section === section.index;
  const name = here ? nameAt(Number(target)) : elsewhere.get(`${symbol.section} ${target}`);
  return name == null ? [] : [{ offset, name }];
}

function readMarks(elf: Elf): Marks {
  const entries = new Map<number, number[]>();
  const patched = new Map<number, Range[]>();
  const forbidden = new Map<number, number[]>();
  const traceable = new Map<number, number[]>();
  for (const section of elf.sections) {
    const relocations = elf.relocations(section);
    if (relocations.length === 0 || section.name.startsWith(".debug")) continue;
    const lengths = patchedLengths(section, elf.content(section), relocations);
    for (const relocation of relocations) {
      const target = relocation.symbol.section;
      if (target === null || !elf.sections[target]?.executable) continue;
      const relative = RELATIVE.has(relocation.type) && section.executable ? 4 : 0;
      const place = Number(relocation.symbol.value + relocation.addend) + relative;
      const length = lengths(relocation.offset);
      if (length > 0) append(patched, target, { start: place, end: place + length });
      if (section.name === "_kprobe_blacklist") append(forbidden, target, place);
      if (section.name === "__mcount_loc") {
        append(traceable, target, place);
        append(patched, target, { start: place, end: place + 5 });
      }
      const pair = PAIRS[section.name];
      if (pair === undefined ? !MARKS.test(section.name) : relocation.offset % pair === 4)
        append(entries, target, place);
    }
  }
  return { entries, patched, forbidden, traceable };
}

/**
 * How many bytes of code the kernel replaces, by the place of the entry that says so: jump labels (a nop or a jump of up
 * to 5 bytes), static calls, paravirt calls and alternatives, retpolines, returns, endbr. Not `.call_sites`: every call is
 * in it, and they are changed, before the module lives, only where calls are counted (retbleed=stuff).
 */
function patchedLengths(
  section: Section,
  content: Buffer,
  relocations: readonly Relocation[],
): (offset: number) => number {
  switch (section.name) {
    case "__jump_table":
      return (offset) => (offset % 16 === 0 ? 5 : 0);
    case ".static_call_sites":
      return (offset) => (offset % 8 === 0 ? 5 : 0);
    case ".return_sites":
      return () => 5;
    case ".retpoline_sites":
      return () => 6;
    case ".ibt_endbr_seal":
      return () => 4;
    case ".parainstructions":
      // struct paravirt_patch_site (to 6.7): address, type, length.
      return (offset) => content[offset + 9] ?? 0;
    case ".altinstructions": {
      // struct alt_instr: two relative addresses, then what differs by era: 13 bytes with a padding length (to 5.12),
      // 12 without, 14 with flags of 32 bits (from 6.3).
      const stride = relocations.length > 2 ? (relocations[2]?.offset ?? 0) - (relocations[0]?.offset ?? 0) : 14;
      return (offset) => (offset % stride === 0 ? (content[offset + (stride === 14 ? 12 : 10)] ?? 0) : 0);
    }
    default:
      return () => 0;
  }
}

function append<T>(map: Map<number, T[]>, key: number, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
