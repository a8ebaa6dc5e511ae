import { expect, test } from "vitest";
import { readFunctions } from "./code.js";
import { readElf } from "./elf.js";
import { sourceName } from "./function.js";
import { buildElf } from "./testing/elf-builder.js";

const PC32 = 2;

test("A function has its aliases, its callees, ways in from elsewhere and what the kernel patches in it", () => {
  const text = Buffer.alloc(64, 0x90);
  const elf = readElf(
    buildElf(
      [
        {
          name: ".text",
          content: text,
          executable: true,
          // A call of another file's function, one of a function here, by section and place.
          relocations: [
            [17, "__fentry__", -4],
            [22, "kvm_put_kvm", -4],
            [27, ".text", 48 - 4],
          ],
        },
        {
          name: ".text.unlikely",
          content: Buffer.alloc(8, 0x90),
          executable: true,
          // A cold part that jumps back into the middle.
          relocations: [[1, ".text", 30 - 4]],
        },
        {
          name: "__jump_table",
          content: Buffer.alloc(16),
          relocations: [
            [0, ".text", 32, PC32],
            [4, ".text", 40, PC32],
          ],
        },
        { name: ".smp_locks", content: Buffer.alloc(4), relocations: [[0, ".text", 42, PC32]] },
        { name: "__mcount_loc", content: Buffer.alloc(8), relocations: [[0, ".text", 16, 1]] },
        {
          name: ".altinstructions",
          content: alternative(4),
          relocations: [
            [0, ".text", 44, PC32],
            [4, ".text", 44, PC32],
          ],
        },
      ],
      [
        { name: ".text", section: ".text", type: 3 },
        { name: "__pfx_release", section: ".text", value: 0, size: 16 },
        { name: "release", section: ".text", value: 16, size: 32 },
        { name: "release_alias", section: ".text", value: 16, size: 32 },
        { name: "helper", section: ".text", value: 48, size: 16 },
        { name: "__fentry__" },
        { name: "kvm_put_kvm" },
      ],
    ),
    "kvm.ko",
  );
  const [release, helper, ...more] = readFunctions(elf);
  expect(more).toEqual([]);
  expect(release).toMatchObject({ names: ["release", "release_alias"], start: 16, traceable: true, probeable: true });
  expect([...release!.links]).toEqual([
    [1, "__fentry__"],
    [6, "kvm_put_kvm"],
    [11, "helper"],
  ]);
  expect([...release!.entries].sort((a, b) => a - b)).toEqual([14, 24]);
  expect(release!.patched).toEqual([
    { start: 0, end: 5 },
    { start: 16, end: 21 },
    { start: 28, end: 32 },
  ]);
  expect(helper).toMatchObject({ names: ["helper"], traceable: false, patched: [] });
});

/** struct alt_instr of 14 bytes (from 6.3) that replaces some bytes. */
function alternative(length: number): Buffer {
  const entry = Buffer.alloc(14);
  entry[12] = length;
  return entry;
}

test("A clone is a copy of the function whose name stands before the suffix", () => {
  expect(sourceName("vfio_device_remove_group.isra.0")).toBe("vfio_device_remove_group");
  expect(sourceName("kvm_uevent_notify_change.part.0.cold")).toBe("kvm_uevent_notify_change");
  expect(sourceName("kvm_put_kvm")).toBe("kvm_put_kvm");
});
