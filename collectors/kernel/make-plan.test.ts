import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Catalog, loadCatalog } from "../catalog/catalog.js";
import { renderKprobeEvents } from "../ftrace/kprobe-events.js";
import { readBtf } from "./btf.js";
import { readElf } from "./elf.js";
import type { KernelView } from "./kernel-view.js";
import { makePlan } from "./make-plan.js";
import { describeModule } from "./modules.js";
import { renderTable } from "./plan-table.js";
import { readSymbols } from "./symbols.js";
import { addRefcount, BtfBuilder } from "./testing/btf-builder.js";
import { buildElf } from "./testing/elf-builder.js";

const CLASS = `
class: thing
title: thing
kind: counted
module: things
struct: thing
names: [thing]
counter: { field: refs.refs.counter, initial: 1, unused: 0 }
functions:
  thing_create:
    prototype: struct thing *thing_create(int flags)
    effects: [{ effect: create, object: ret, when: "!IS_ERR(ret)" }]
  thing_get:
    prototype: void thing_get(struct thing *thing)
    effects: [{ effect: get, object: thing }]
  thing_put:
    prototype: void thing_put(struct thing *thing)
    effects: [{ effect: put, object: thing }]
  thing_release:
    prototype: int thing_release(struct file *file)
    record: { thing: (struct thing *)file->private_data }
    effects: [{ effect: close, holder: thing file }]
  thing_move:
    prototype: void thing_move(struct thing *thing)
    effects: [{ effect: use, object: thing }]
  thing_lost:
    prototype: void thing_lost(struct thing *thing)
    effects: [{ effect: use, object: thing }]
`;

/** After ftrace's own 5 bytes: lock incl 0x10(%rdi); ret, and the same with decl; nothing. */
const GET = "0f1f440000f0ff4710c3";
const PUT = "0f1f440000f0ff4f10c3";
const NONE = "0f1f440000c3";

function viewOf(code: Record<string, string>, symbols = ""): KernelView {
  const types = new BtfBuilder();
  const int = types.int("int", 4);
  const thing = types.struct("thing", 32, [["refs", addRefcount(types, int), 16]]);
  const file = types.struct("file", 64, [["private_data", types.pointer(0), 32]]);
  types.struct("module", 64, [["name", types.array(types.int("char", 1), 56), 24]]);
  types.function("do_init_module", int, [["mod", types.pointer(int)]]);
  types.typedef("btf_trace_console", types.pointer(int));
  for (const name of ["thing_get", "thing_put", "thing_move"])
    types.function(name, 0, [["thing", types.pointer(thing)]]);
  types.function("thing_create", types.pointer(thing), [["flags", int]]);
  types.function("thing_release", int, [["file", types.pointer(file)]]);
  const btf = readBtf(types.build(), "vmlinux");
  let text = Buffer.alloc(0);
  const functions = Object.entries(code).map(([name, hex]) => {
    const body = Buffer.from(hex, "hex");
    const value = text.length;
    text = Buffer.concat([text, body]);
    return { name, section: ".text", value, size: body.length };
  });
  const marks = functions.map(({ value }, row): [number, string, number, number] => [row * 8, ".text", value, 1]);
  const elf = buildElf(
    [
      { name: ".text", content: text, executable: true },
      { name: "__mcount_loc", content: Buffer.alloc(8 * functions.length), relocations: marks },
    ],
    [{ name: ".text", section: ".text", type: 3 }, ...functions],
  );
  const things = describeModule("things", readElf(elf, "things.ko"), btf);
  return {
    release: "6.12",
    buildId: null,
    btf,
    modules: new Map([["things", things]]),
    builtIn: null,
    symbols: symbols === "" ? null : readSymbols(symbols),
    traceable: null,
    blacklist: null,
  };
}

function catalogOf(text: string): Catalog {
  const folder = mkdtempSync(join(tmpdir(), "ktally-"));
  writeFileSync(join(folder, "thing.yaml"), text);
  return loadCatalog(folder);
}

const catalog = catalogOf(CLASS);

const WHOLE = {
  thing_create: NONE,
  thing_get: GET,
  thing_put: PUT,
  thing_release: NONE,
  // Moved to a clone: its arguments cannot be read by the prototype.
  "thing_move.isra.0": NONE,
  // A get that the compiler put into a caller that the catalogue does not know.
  thing_ioctl: GET,
};

test("Functions, inlined operations and what every plan has are rendered for ftrace", () => {
  expect(renderKprobeEvents(makePlan(viewOf(WHOLE), catalog))).toEqual([
    "p:ktally/thing_create things:thing_create flags=%di:s32",
    "r64:ktally/thing_create_ret things:thing_create ret=$retval:x64",
    "p:ktally/thing_release things:thing_release file=%di:x64 thing=+0x20(%di):x64 refs=+0x10(+0x20(%di)):s32",
    "p:ktally/thing_move things:thing_move.isra.0",
    "p:ktally/thing_get_5 things:thing_get+0x5 thing=%di:x64 refs=+0x10(%di):s32 delta=\\1:s32",
    "p:ktally/thing_put_5 things:thing_put+0x5 thing=%di:x64 refs=+0x10(%di):s32 delta=\\-1:s32",
    "p:ktally/thing_ioctl_5 things:thing_ioctl+0x5 thing=%di:x64 refs=+0x10(%di):s32 delta=\\1:s32",
    "p:ktally/do_init_module do_init_module module=+0x18(%di):string",
  ]);
});

test("An object that a function makes and stores is recorded where it does so", () => {
  // nop; mov %rax,0x20(%rsi); mov %rax,0x28(%rsi); movq $0,0x20(%rsi); mov %rdx,0x20(%rax); ret
  const open = "0f1f440000" + "48894620" + "48894628" + "48c7462000000000" + "48895020" + "c3";
  const catalog = catalogOf(`${CLASS}
  thing_open:
    prototype: int thing_open(struct inode *inode, struct file *file)
    stores: { thing: file->private_data }
    effects: [{ effect: create, object: thing, when: ret == 0 }]
`);
  expect(renderKprobeEvents(makePlan(viewOf({ ...WHOLE, thing_open: open }), catalog))).toContain(
    "p:ktally/thing_open_5 things:thing_open+0x5 thing=%ax:x64",
  );
});

test("A class whose module is built in is counted in the kernel's own code", () => {
  const { modules, ...view } = viewOf(WHOLE, "ffffffff81000000 T thing_get\nffffffff81000020 T thing_put\n");
  const functions = modules.get("things")?.functions.filter(({ names }) => /_(?:get|put)$/.test(names[0] ?? "")) ?? [];
  const symbols = new Map(functions.map((code) => [code.names[0] ?? "", [code]]));
  const plan = makePlan({ ...view, modules: new Map(), builtIn: { functions, symbols } }, catalog);
  expect(renderKprobeEvents(plan).slice(0, 2)).toEqual([
    "p:ktally/thing_get_5 thing_get+0x5 thing=%di:x64 refs=+0x10(%di):s32 delta=\\1:s32",
    "p:ktally/thing_put_5 thing_put+0x5 thing=%di:x64 refs=+0x10(%di):s32 delta=\\-1:s32",
  ]);
});

test("The table says what is covered and what is missing, with the reason", () => {
  const plan = makePlan(viewOf(WHOLE), catalog);
  expect(plan.classes).toMatchObject([
    { class: "thing", covered: "exactly", missing: [{ function: "thing_lost", reason: "other-era" }] },
  ]);
  expect(plan.probes.filter(({ kind }) => kind === "tracepoint").map(({ symbol }) => symbol)).toEqual(["console"]);
  expect(renderTable(plan).join("\n")).toContain("thing  exactly     7, 3 of them inlined operations");
});

test("An operation that cannot be recorded, in a function that the catalogue does not know, makes the class partial", () => {
  // mov 0x10(%rdi),%eax; lea 1(%rax),%edx; add $0x10,%rdi; lock cmpxchg %edx,(%rdi); jne +1; nop; ret
  const hidden = "0f1f4400008b47108d50014883c710f00fb117750190c3";
  expect(makePlan(viewOf({ ...WHOLE, thing_ioctl: hidden }), catalog).classes[0]).toMatchObject({
    covered: "partly",
    missing: [
      { function: "thing_lost" },
      {
        function: "thing_ioctl",
        reason: "limit",
        text: "+0x15: no register holds the object when the counter changes",
      },
    ],
  });
});

test("A name that two functions bear, or that kprobes refuse, is not probed", () => {
  const view = viewOf(WHOLE);
  const twice = readSymbols("0 t thing_lost\n0 t thing_lost\n0 t thing_cold.cold\n");
  expect(makePlan({ ...view, symbols: twice }, catalog).classes[0]?.missing).toContainEqual({
    function: "thing_lost",
    reason: "limit",
    text: "the kernel has 2 functions of this name",
  });
  const refused = makePlan({ ...view, blacklist: new Set(["thing_release"]) }, catalog);
  expect(refused.probes.some((probe) => probe.function === "thing_release")).toBe(false);
  expect(refused.classes[0]?.missing).toContainEqual(expect.objectContaining({ reason: "blacklisted" }));
});
