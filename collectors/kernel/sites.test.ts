import { expect, test } from "vitest";
import { readBtf } from "./btf.js";
import type { CodeFunction } from "./function.js";
import { findOperations } from "./operations.js";
import { describeSite, matchCounter } from "./sites.js";
import { BtfBuilder } from "./testing/btf-builder.js";

/**
 * Functions of Debian's kernels 5.10.0-46, 6.1.0-56 and 6.12.118, read from their modules; what is expected was read in
 * objdump's listing: offsets inside the function are those of kernel-catalog F.1 where it knows the build.
 */
const CAPTURED = [
  {
    name: "kvm_put_kvm_no_destroy",
    kernel: "6.12",
    bytes:
      "f30f1efae800000000488d97381a0000b8fffffffff00fc187381a000083f801740985c07e0ce9000000000f0be900000000be030000004889d7e900000000",
    links: [
      [5, "__fentry__"],
      [39, "__x86_return_thunk"],
      [46, "__x86_return_thunk"],
      [59, "refcount_warn_saturate"],
    ],
    counter: { struct: "kvm", offset: 0x1a38 },
    sites: [{ offset: 0x15, effect: "put", object: "%di", refs: "+0x1a38(%di)", delta: "%ax", next: null }],
  },
  {
    name: "kvm_stat_data_open",
    kernel: "6.12",
    bytes:
      "f30f1efae80000000041544989f455534889fb4883ec08488baf68020000488b45008b90381a0000488db8381a000085d20f84830000008d4a0189d0f00fb10f757109ca7864488b45084c89e64889df48c7c10000000049c7c00000000048c7c2000000008b0083e00f83f801b800000000480f44c8e80000000085c0750d4883c4085b5d415ce900000000488b7d0089442404e8000000008b4424044883c4085b5d415ce90000000031f6e800000000eb9389c2e975ffffffb8feffffffebbe",
    links: [
      [5, "__fentry__"],
      [119, "simple_attr_open"],
      [136, "__x86_return_thunk"],
      [149, "kvm_put_kvm"],
      [166, "__x86_return_thunk"],
      [173, "refcount_warn_saturate"],
    ],
    counter: { struct: "kvm", offset: 0x1a38 },
    sites: [{ offset: 0x42, effect: "get", object: "+0x0(%bp)", refs: "%ax", delta: "\\1", next: "simple_attr_open" }],
  },
  {
    name: "kvm_get_kvm_safe",
    kernel: "6.1",
    bytes:
      "e8000000004889f8534881c7f09900008b88f099000085c9742d8d510189c8f00fb1170f94c3751b09ca780889d85be90000000031f6e80000000089d85be90000000089c1ebcf31dbebe1",
    links: [
      [1, "__fentry__"],
      [48, "__x86_return_thunk"],
      [55, "refcount_warn_saturate"],
      [63, "__x86_return_thunk"],
    ],
    counter: { struct: "kvm", offset: 0x99f0 },
    sites: [],
  },
  {
    name: "vfio_device_remove_group.isra.0",
    kernel: "6.1",
    bytes:
      "e800000000415455538b86c00300004889f383e80183f8010f86e8000000488dbb5803000048c7c600000000e80000000084c075095b5d415ce900000000488dbba0030000e80000000084c07415488b93a0030000488b83a80300004889420848891048b8000100000000adde488dbbf00200004889de488983a00300004883c022488dabc8030000488983a8030000e8000000004889efe800000000488b9370030000488d83700300004839c275604883bb2004000000755a4883bb680300000074084889dfe8000000004c8ba3600300004889ef48c7836003000000000000e80000000048c7c700000000e8000000004c89e7e8000000004889df5b5d415ce900000000e800000000e90effffff0f0beb9c0f0beba2",
    links: [
      [1, "__fentry__"],
      [45, "refcount_dec_and_mutex_lock"],
      [58, "__x86_return_thunk"],
      [70, "__list_del_entry_valid"],
      [145, "cdev_device_del"],
      [153, "mutex_lock"],
      [200, "vfio_group_detach_container"],
      [226, "mutex_unlock"],
      [238, "mutex_unlock"],
      [246, "iommu_group_put"],
      [258, "put_device"],
      [263, "iommu_group_remove_device"],
    ],
    counter: { struct: "vfio_group", offset: 0x358 },
    sites: [
      {
        offset: 0x2c,
        effect: "put",
        object: "%bx",
        refs: "+0x358(%bx)",
        delta: "\\-1",
        next: null,
      },
    ],
  },
  {
    name: "__vfio_group_get_from_iommu",
    kernel: "6.1",
    bytes:
      "e800000000488b15000000004881fa000000007455488d8260fcffffeb17488b90a0030000488d8260fcffff4881fa0000000074354839b86003000075e04883ec08488db858030000ba01000000f00fc1905803000085d2742b8d4a0109d178104883c408e90000000031c0e900000000be0100000048890424e800000000488b0424ebdcbe0200000048890424e800000000488b0424ebc8",
    links: [
      [1, "__fentry__"],
      [102, "__x86_return_thunk"],
      [109, "__x86_return_thunk"],
      [123, "refcount_warn_saturate"],
      [143, "refcount_warn_saturate"],
    ],
    counter: { struct: "vfio_group", offset: 0x358 },
    sites: [{ offset: 0x4e, effect: "get", object: "%ax", refs: "+0x358(%ax)", delta: "%dx", next: null }],
  },
  {
    name: "vfio_group_get_device",
    kernel: "5.10",
    bytes:
      "e80000000041554c8d6f304154554889f5534889fb4c89efe800000000488b4320488d7b204c8d60c04839c77510eb4e498b4424404c8d60c04839c7744049392c2475ec418b54241885d274e38d4a014d8d44241889d0f0410fb14c2418754385d2783385c9782f4c89efe8000000004c89e05b5d415c415de9000000004c89ef4531e4e8000000004c89e05b5d415c415de90000000031f64c89c7e800000000ebc589c2eba2",
    links: [
      [1, "__fentry__"],
      [25, "mutex_lock"],
      [108, "mutex_unlock"],
      [122, "__x86_return_thunk"],
      [133, "mutex_unlock"],
      [147, "__x86_return_thunk"],
      [157, "refcount_warn_saturate"],
    ],
    counter: { struct: "vfio_device", offset: 0x18 },
    sites: [{ offset: 0x60, effect: "get", object: "%r12", refs: "%ax", delta: "\\1", next: null }],
  },
  {
    name: "vfio_device_put",
    kernel: "5.10",
    bytes:
      "e8000000004c8d4718b8fffffffff00fc1471883f801740985c07e0ee9000000004883c720e900000000be030000004c89c7e900000000",
    links: [
      [1, "__fentry__"],
      [29, "__x86_return_thunk"],
      [38, "complete"],
      [51, "refcount_warn_saturate"],
    ],
    counter: { struct: "vfio_device", offset: 0x18 },
    sites: [{ offset: 0xe, effect: "put", object: "%di", refs: "+0x18(%di)", delta: "%ax", next: null }],
  },
];

function codeOf(name: string, hex: string, links: readonly (readonly [number, string])[] = []): CodeFunction {
  const bytes = Buffer.from(hex, "hex");
  return {
    names: [name],
    section: ".text",
    bytes,
    start: 0,
    links: new Map(links),
    nameAt: () => null,
    entries: new Set(),
    patched: [],
    probeable: true,
    traceable: true,
  };
}

function sitesOf(func: CodeFunction, counter: { struct: string; offset: number }) {
  return findOperations(func)
    .filter((operation) => matchCounter(operation, counter, func, null) !== "other")
    .flatMap((operation) => describeSite(operation, counter) ?? []);
}

for (const { name, kernel, bytes, links, counter, sites } of CAPTURED) {
  test(`${name} of ${kernel} has ${sites.length === 0 ? "no site that tells the object" : "its site"}`, () => {
    const found = sitesOf(codeOf(name, bytes, links as [number, string][]), counter);
    expect(
      found.map(({ operation, ...site }) => ({ ...site, offset: operation.offset, next: operation.next })),
    ).toEqual(sites);
    expect(found.every(({ operation }) => !operation.conditional)).toBe(true);
  });
}

const COUNTER = { struct: "thing", offset: 0x10 };

/** Assembled by hand: what compilers may do though no captured function does. */
const FORMS: readonly (readonly [what: string, hex: string, effect: string | null, delta: string | null])[] = [
  ["lock incl 0x10(%rdi)", "f0ff4710", "get", "\\1"],
  ["lock decl 0x10(%r12)", "f041ff4c2410", "put", "\\-1"],
  ["lock addl $1,0x10(%rdi)", "f083471001", "get", "\\1"],
  ["lock subl $1,0x10(%rdi)", "f0836f1001", "put", "\\-1"],
  ["lock addl $-1,0x10(%rdi)", "f0834710ff", "put", "\\-1"],
  ["mov $1,%eax; neg %eax; lock xadd %eax,0x10(%rdi)", "b801000000f7d8f00fc14710", "put", "%ax"],
  ["or $-1,%r9d; lock xadd %r9d,0x10(%r8)", "4183c9fff0450fc14810", "put", "%r9"],
  ["lea 0x10(%rdi),%rdx; mov $1,%eax; lock xadd %eax,(%rdx)", "488d5710b801000000f00fc102", "get", "%ax"],
  // A register that two ways fill is still recorded, but the code alone does not say get or put.
  ["lock xadd %esi,0x10(%rdi): any amount", "f00fc17710", "get", "%si"],
  ["lock incq 0x10(%rdi): 64 bits", "f048ff4710", null, null],
  ["lock btsl $1,0x10(%rdi): a flag", "f00fba6f1001", null, null],
  ["incl 0x10(%rdi): not locked", "ff4710", null, null],
  ["lock incl 0x14(%rdi): another field", "f0ff4714", null, null],
  ["mov $1,%edx; xor %eax,%eax; lock cmpxchg %edx,0x10(%rdi): sets a flag", "ba0100000031c0f00fb15710", null, null],
];

for (const [what, hex, effect, delta] of FORMS) {
  test(what, () => {
    const [site, ...more] = sitesOf(codeOf("f", `${hex}c3`), COUNTER);
    expect(more).toEqual([]);
    expect(site?.effect ?? null).toBe(effect);
    expect(site?.delta ?? null).toBe(delta);
  });
}

test("An exchange whose success is also reached otherwise is recorded where it is tried", () => {
  // mov 0x10(%rdi),%eax; lea 1(%rax),%edx; lock cmpxchg %edx,0x10(%rdi); jne -5 (to the ret that follows); ret
  const [site] = sitesOf(codeOf("f", "8b47108d5001f00fb157107500c3"), COUNTER);
  expect(site).toMatchObject({ effect: "get", refs: "+0x10(%di)", operation: { offset: 6, conditional: true } });
});

test("An operation on another struct at the same offset is told apart by the prototype", () => {
  const types = new BtfBuilder();
  const thing = types.struct("thing", 32, []);
  const other = types.struct("other", 32, [["thing", types.pointer(thing), 8]]);
  types.function("of_thing", 0, [["thing", types.pointer(thing)]]);
  types.function("of_other", 0, [["other", types.pointer(other)]]);
  const btf = readBtf(types.build(), "vmlinux");
  const matchOf = (name: string, hex: string) => {
    const func = codeOf(name, hex);
    return findOperations(func).map((operation) => matchCounter(operation, COUNTER, func, btf));
  };
  const increment = "f0ff4710c3";
  expect(matchOf("of_thing", increment)).toEqual(["typed"]);
  expect(matchOf("of_other", increment)).toEqual(["other"]);
  expect(matchOf("unknown", increment)).toEqual(["offset"]);
  // A clone's arguments are not those of the prototype.
  expect(matchOf("of_other.isra.0", increment)).toEqual(["offset"]);
  // mov 0x8(%rdi),%rax; lock incl 0x10(%rax): other->thing
  expect(matchOf("of_other", "488b4708f0ff4010c3")).toEqual(["typed"]);
});
