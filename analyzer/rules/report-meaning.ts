/**
 * What a report of the kernel's log says about the catalog's classes: which rule it points to, and whose object it is.
 * The rule follows from the kind of report, the class from the functions on its stacks.
 */
import type { Catalog } from "../../collectors/catalog/catalog.js";
import { isErrorOf } from "../../collectors/catalog/errno.js";
import type { ClassEntry, HistoryEntry } from "../../collectors/catalog/schema.js";
import { withoutCloneSuffix } from "../decode/interpret.js";
import type { CodeLocation, KernelReport } from "../import/trace-event.js";

export interface ReportMeaning {
  /** Class that it is about; null where no function on its stacks belongs to one. */
  class: ClassEntry | null;
  /** Rule and variant that it points to; null where it says no more than that something is wrong. */
  rule: { id: string; variant: string } | null;
  /** `error`: something is wrong for sure; `suspicion`: may also be somebody's right; `note`: the kernel works. */
  weight: "error" | "suspicion" | "note";
  /** Why the weight is no more than a suspicion. */
  doubt: string | null;
  /** The function that was at work, clone suffix removed. */
  function: string;
  /** Bugs of the past that looked like it, most alike first. */
  lookalikes: readonly HistoryEntry[];
  /** The command that would show what led to it; null where no class is known. */
  learn: string | null;
}

interface Pointer {
  rule: string;
  variant: string;
  weight: ReportMeaning["weight"];
  doubt?: string;
}

/** By kind and, where it matters, the variety's first match. */
const POINTERS: readonly { kind: KernelReport["kind"]; bug?: RegExp; to: Pointer }[] = [
  { kind: "refcount", bug: /addition on 0/, to: pointer("use-after-release", "get-after-zero") },
  { kind: "refcount", bug: /underflow/, to: pointer("extra-put", "extra-put") },
  // refcount_dec() that reaches zero: the last reference went by a put that does not release.
  { kind: "refcount", bug: /decrement hit 0|hit zero/, to: pointer("extra-put", "extra-put") },
  { kind: "refcount", to: pointer("extra-put", "sat") },
  { kind: "kasan", bug: /double-free|invalid-free/, to: pointer("use-after-release", "double-destroy") },
  { kind: "kasan", bug: /use-after-free|wild-memory/, to: pointer("use-after-release", "use-after-release") },
  { kind: "kfence", bug: /invalid free/, to: pointer("use-after-release", "double-destroy") },
  { kind: "kfence", bug: /use-after-free/, to: pointer("use-after-release", "use-after-release") },
  { kind: "list", bug: /double add/, to: pointer("double-registration", "reg-double") },
  { kind: "list", bug: /^del/, to: pointer("unmatched-unregister", "unreg-nomatch") },
  { kind: "list", to: pointer("use-after-release", "use-after-release") },
  { kind: "debug-object", to: pointer("work-after-cancel", "work-after-release") },
  { kind: "objects-remaining", to: pointer("leak", "leak") },
  {
    kind: "duplicate-name",
    to: {
      ...pointer("double-registration", "reg-double"),
      weight: "suspicion",
      doubt: "the name may have been chosen by user space",
    },
  },
  {
    kind: "hung-task",
    to: {
      ...pointer("unregister-stuck", "unreg-stuck"),
      weight: "suspicion",
      doubt: "a process may still have the object open: then the kernel waits by right; the log does not tell",
    },
  },
  { kind: "device-in-use", to: { ...pointer("unregister-stuck", "unreg-stuck"), weight: "note" } },
  { kind: "module-in-use", to: { ...pointer("module-ref", "mod-leak"), weight: "note" } },
  {
    kind: "lockdep",
    to: {
      ...pointer("order", "put-in-callback"),
      weight: "suspicion",
      doubt: "lockdep speaks of locks, not of objects",
    },
  },
];

function pointer(rule: string, variant: string): Pointer {
  return { rule, variant, weight: "error" };
}

/** Poison of freed or unlinked memory (include/linux/poison.h): list pointers, slab, and what is near them. */
const POISON = [0xdead000000000100n, 0xdead000000000122n, 0x6b6b6b6b6b6b6b6bn, 0xdead4ead00000000n];

/** Functions that report, or that run by way of everything: never to blame. */
const REPORTERS =
  /^(?:_?_?dump_stack\w*|show_\w+|warn_\w+|__warn\w*|report_bug|handle_bug|fixup_bug|do_error_trap|do_trap|die\w*|oops_\w+|exc_\w+|asm_exc_\w+|asm_common_\w+|invalid_op|do_invalid_op|refcount_\w+|ex_handler_refcount|kasan_\w+|__kasan_\w+|__asan_\w+|print_\w+|kfence_\w+|__list_\w+|list_(?:add|del)\w*|debug_print_object|__debug_\w+|debug_check_no_obj_freed|usercopy_abort|__check_\w+|no_context|bad_area\w*|page_fault_oops|kernelmode_fixup\w*|panic|__schedule|schedule\w*|wait_for_completion\w*|(?:__|do_)?wait_for_common|wait_woken|lock_acquire|__lock_acquire|check_\w+|validate_chain|mutex_lock\w*|__mutex_lock\w*|down_\w+|rwsem_\w+|kfree|kmem_cache_free|kmem_cache_destroy|slab_\w+|__slab_\w+|k[mz]alloc\w*|__k[mz]alloc\w*|save_stack|stack_trace_save|kref_put|kobject_\w+|sysfs_warn_dup|entry_SYSCALL\w*|ret_from_fork\w*|do_syscall_64|x64_sys_call|__?x64_sys_\w+|system_call\w*|el0\w*|process_one_work|worker_thread|kthread)$/;

export function meaningOf(report: KernelReport, catalog: Catalog): ReportMeaning {
  const own = functionsOf([...(report.at ? [report.at] : []), ...(report.stack?.frames ?? [])]);
  const all = [...own, ...report.related.flatMap(({ stack }) => functionsOf(stack.frames))];
  const warned = warningOf(report, own, catalog);
  const to = warned?.to ?? pointerOf(report, all, catalog);
  const { class: entry, isGuess } = warned
    ? { class: warned.class, isGuess: false }
    : classOf(report, all, to?.rule ?? null, catalog);
  const isWhose = isGuess && to?.weight === "error";
  return {
    class: entry,
    rule: to ? { id: to.rule, variant: to.variant } : null,
    weight: isWhose ? "suspicion" : (to?.weight ?? "suspicion"),
    doubt: isWhose ? "that something is wrong is sure, whose object it is about is not" : (to?.doubt ?? null),
    function: own[0] ?? report.at?.symbol ?? waiterOf(report, entry) ?? "an unknown function",
    lookalikes: entry ? lookalikesOf(entry, to?.rule ?? null, all) : [],
    learn: entry ? recordCommand(entry) : null,
  };
}

/** "Device is currently in use" has no stack; only what waits for the device's users prints it. */
function waiterOf({ kind }: KernelReport, entry: ClassEntry | null): string | undefined {
  if (kind !== "device-in-use") return undefined;
  return Object.entries(entry?.functions ?? {}).find(([, { blocks }]) => blocks === true)?.[0];
}

/** Names on a stack, innermost first, those left out that are on every such stack. */
function functionsOf(frames: readonly CodeLocation[]): string[] {
  const names = frames.flatMap(({ symbol }) => (symbol === null ? [] : [withoutCloneSuffix(symbol)]));
  return [...new Set(names)].filter((name) => !REPORTERS.test(name));
}

/** What the catalog says about a WARN in one of these functions: the innermost that it knows. */
function warningOf(
  report: KernelReport,
  functions: readonly string[],
  catalog: Catalog,
): { class: ClassEntry; to: Pointer } | null {
  if (report.kind !== "warning" && report.kind !== "bug") return null;
  // The warning stands in the function itself, or in what was inlined into it.
  const [name = ""] = functions;
  for (const entry of catalog.classes.values()) {
    const warning = Object.hasOwn(entry.warnings, name) ? entry.warnings[name] : undefined;
    if (warning === undefined) continue;
    const { rule, variant } = warning;
    if (showsDuplicate(report, entry)) return { class: entry, to: pointer(rule, variant) };
    const doubt = "the log does not show the call that this follows from";
    return { class: entry, to: { rule, variant, weight: "suspicion", doubt } };
  }
  return null;
}

/** The result that is warned of is still in the register that it was returned in (x86-64, arm64). */
function showsDuplicate({ registers }: KernelReport, entry: ClassEntry): boolean {
  const value = registers.get("RAX") ?? registers.get("x0");
  if (value === undefined) return false;
  const result = Number(BigInt.asIntN(32, value));
  return isErrorOf(result, entry.table?.duplicate_errors ?? []);
}

function pointerOf(report: KernelReport, functions: readonly string[], catalog: Catalog): Pointer | null {
  if (report.kind === "oops" || report.kind === "bug") return pointerOfOops(report);
  if (report.kind === "stall") return pointerOfStall(functions, catalog);
  if (report.kind === "list" && /^add corr/.test(report.bug) && report.addresses.some(isModuleData)) {
    // A static entry of a module that is gone; the list was never told.
    return pointer("stale-ops", "ops-stale");
  }
  if (report.kind === "hung-task" && !functions.some((name) => isBlocking(name, catalog))) return null;
  return POINTERS.find(({ kind, bug }) => kind === report.kind && (bug?.test(report.bug) ?? true))?.to ?? null;
}

/** Where modules are loaded on x86-64 with a kernel at a random address (arch/x86/include/asm/pgtable_64_types.h). */
function isModuleData(address: bigint): boolean {
  return address >= 0xffffffffc0000000n && address < 0xffffffffff000000n;
}

function isBlocking(name: string, catalog: Catalog): boolean {
  return catalog.functions.get(name)?.meanings.some(({ entry }) => entry.blocks === true) ?? false;
}

/** A crash says what happened by what was in the registers. */
function pointerOfOops(report: KernelReport): Pointer | null {
  if (report.at !== null && report.at.symbol === null && report.unloaded.length > 0) {
    const doubt = "that the code belonged to an unloaded module is told by its address having no symbol";
    return { rule: "stale-ops", variant: "ops-stale", weight: "suspicion", doubt };
  }
  const values = [...report.registers.values(), ...report.addresses];
  // A kernel address that is mapped no more: what lay there was freed.
  if (/unable to handle (?:page fault for|kernel paging request at)\D*(?:ffff)/.test(report.title)) {
    const doubt = "told by a kernel address that is mapped no more";
    return { rule: "use-after-release", variant: "use-after-release", weight: "suspicion", doubt };
  }
  const poisoned = values.some((value) =>
    POISON.some((poison) => value - poison >= -0x100n && value - poison < 0x1000n),
  );
  if (!poisoned) return null;
  const doubt = "told by the poison of freed memory in a register";
  return { rule: "use-after-release", variant: "use-after-release", weight: "suspicion", doubt };
}

/** A state machine's lookup that never ends (a26b499b757c). */
function pointerOfStall(functions: readonly string[], catalog: Catalog): Pointer | null {
  const machine = functions.some((name) =>
    catalog.functions.get(name)?.meanings.some((meaning) => meaning.class.kind === "machine"),
  );
  if (!machine) return null;
  const doubt = "the log does not say which transition was asked for";
  return { rule: "illegal-transition", variant: "fsm-illegal", weight: "suspicion", doubt };
}

/** Effects that a rule is about: they choose among the classes that a function has a part in. */
const EFFECTS_OF: Record<string, readonly string[]> = {
  "extra-put": ["put", "destroy", "close"],
  leak: ["get", "create", "open"],
  "use-after-release": ["destroy", "put", "get", "use", "close"],
  "double-registration": ["register"],
  "unmatched-unregister": ["unregister"],
  "stale-ops": ["register", "unregister"],
  "unregister-stuck": ["unregister", "destroy"],
};

/** The class that a report is about; a guess where only a bug of the past tells, or a caller of what was at work. */
function classOf(
  report: KernelReport,
  functions: readonly string[],
  rule: string | null,
  catalog: Catalog,
): { class: ClassEntry | null; isGuess: boolean } {
  const named = { "module-in-use": "module", "device-in-use": "vfio_device" }[report.kind as string];
  if (named !== undefined) return { class: catalog.classes.get(named) ?? null, isGuess: false };
  const effects = (rule === null ? undefined : EFFECTS_OF[rule]) ?? [];
  let other: { class: ClassEntry; isGuess: boolean } | null = null;
  for (const [depth, name] of functions.entries()) {
    const meanings = catalog.functions.get(name)?.meanings ?? [];
    // Where no rule tells what to look for, the innermost function is as good as any.
    const fitting =
      effects.length === 0
        ? meanings[0]
        : meanings.find(({ entry }) => entry.effects.some(({ effect }) => effects.includes(effect)));
    const found = fitting?.class ?? catalog.sites.get(name)?.[0];
    // What a counter belongs to only the function that changes it tells: its callers have others, too.
    if (found) return { class: found, isGuess: report.kind === "refcount" && (depth > 0 || !found.counter) };
    const [related] = meanings;
    const past = related ? null : historyClass(name, catalog);
    if (related) other ??= { class: related.class, isGuess: report.kind === "refcount" };
    else if (past) other ??= { class: past, isGuess: true };
  }
  return other ?? { class: null, isGuess: false };
}

function historyClass(name: string, catalog: Catalog): ClassEntry | null {
  for (const entry of catalog.classes.values()) {
    if (entry.history.some((bug) => bug.functions.includes(name))) return entry;
  }
  return null;
}

/** Records the class, and that whose end must end its entries. */
function recordCommand(entry: ClassEntry): string {
  const owner = entry.table?.owner;
  const classes = [entry.class, ...(owner !== undefined && owner !== "module" ? [owner] : [])];
  return `ktally record --class ${classes.join(",")} -o trace.dat`;
}

/** Bugs of the class, by how many functions they share with the report; of the same rule where none are shared. */
function lookalikesOf(entry: ClassEntry, rule: string | null, functions: readonly string[]): HistoryEntry[] {
  const score = (bug: HistoryEntry) =>
    2 * bug.functions.filter((name) => functions.includes(name)).length + (bug.rule === rule ? 1 : 0);
  return entry.history
    .filter((bug) => score(bug) > 0)
    .sort((a, b) => score(b) - score(a))
    .slice(0, 3);
}
