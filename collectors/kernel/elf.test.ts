import fc from "fast-check";
import { expect, test } from "vitest";
import { ElfError, readElf } from "./elf.js";
import { buildElf } from "./testing/elf-builder.js";

const NOTE = Buffer.from("040000000800000003000000474e5500f00dcafe00112233", "hex");

function module(): Buffer {
  return buildElf(
    [
      { name: ".text", content: Buffer.from("e800000000c3", "hex"), executable: true, relocations: [[1, "fput", -4]] },
      { name: ".note.gnu.build-id", content: NOTE },
      { name: ".modinfo", content: Buffer.from("license=GPL\0srcversion=69619FB4\0", "latin1") },
    ],
    [{ name: "kvm_release", section: ".text", value: 0, size: 6 }, { name: "fput" }],
  );
}

test("Sections, symbols, relocations, build id and module information are read", () => {
  const elf = readElf(module(), "kvm.ko");
  const text = elf.section(".text")!;
  expect(elf.relocatable).toBe(true);
  expect(text.executable).toBe(true);
  expect(elf.content(text).toString("hex")).toBe("e800000000c3");
  expect(elf.symbols().find(({ name }) => name === "kvm_release")).toMatchObject({
    size: 6,
    function: true,
    section: 1,
  });
  expect(elf.relocations(text)).toMatchObject([
    { offset: 1, type: 4, addend: -4n, symbol: { name: "fput", section: null } },
  ]);
  expect(elf.buildId()).toBe("f00dcafe00112233");
  expect(elf.moduleInfo("srcversion")).toBe("69619FB4");
  expect(elf.moduleInfo("vermagic")).toBeNull();
});

test("What is no module is refused with file, offset and what would do", () => {
  expect(() => readElf(Buffer.alloc(100), "kvm.ko")).toThrow("kvm.ko: offset 0: no ELF file; give");
  expect(() => readElf(module().subarray(0, 300), "kvm.ko")).toThrow(ElfError);
});

test("Whatever bytes are wrong, reading ends with an answer or an ElfError", () => {
  const sound = module();
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(sound.length - 1), fc.nat(255)), { maxLength: 5 }), (changes) => {
      const damaged = Buffer.from(sound);
      for (const [at, value] of changes) damaged[at] = value;
      try {
        const elf = readElf(damaged, "f");
        for (const section of elf.sections) elf.relocations(section);
        elf.buildId();
      } catch (error) {
        expect(error).toBeInstanceOf(ElfError);
      }
    }),
    { numRuns: 2000 },
  );
});
