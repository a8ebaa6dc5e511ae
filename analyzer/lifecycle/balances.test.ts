import { expect, it } from "vitest";
import { auditDrawn } from "../testing/text.js";

/** A virtual machine at an address of its own: one vCPU file, opened and closed; or left open. */
function life(index: number, isOpen = false): string {
  const kvm = `kvm=0xffffca47d${index.toString(16).padStart(4, "0")}000`;
  return `
    wl-1 [000] d.Z.. ${10 + index}.000000: uc: (kvm_vm_ioctl+0xcde/0x13a0 [kvm]) ${kvm} refs=1 delta=1
    ${isOpen ? "" : `wl-1 [000] d.Z.. ${10 + index}.010000: uc: (kvm_vcpu_release+0x1b/0x40 [kvm]) ${kvm} refs=2 delta=-1`}
    wl-1 [000] d.Z.. ${10 + index}.020000: uc: (kvm_put_kvm+0x11/0x80 [kvm]) ${kvm} refs=${isOpen ? 2 : 1} delta=-1
    ${isOpen ? "" : `wl-1 [000] ..... ${10 + index}.020050: destroy: (kvm_destroy_vm+0x0/0x3d0 [kvm]) ${kvm}`}`;
}

/** Pairs of call sites as `get - put`, and what the last object holds. */
async function learned(lives: number) {
  const text = Array.from({ length: lives }, (_, index) => life(index)).join("") + life(lives, true);
  const { balances, world } = await auditDrawn(text);
  const kvm = world.classOf("kvm")!;
  const pairs = balances.pairs(kvm);
  const [alive] = balances.open();
  return {
    pairs: pairs.map(({ gets, puts }) => [...gets, ...puts].map(({ name }) => name).join(" - ")),
    held: balances.held(alive!).map(({ count, gets }) => [count, ...gets.map((get) => get.event.id)]),
    // The one before the last hundred.
    isRemembered:
      balances.find({ class: kvm, key: 0xffffca47d0000000n + (BigInt(lives - 100) << 12n), generation: 1 }) !==
      undefined,
  };
}

it("lives that are like many others teach as much as these, and are not remembered", async () => {
  const few = await learned(100);
  const many = await learned(600);
  expect(few).toMatchObject({
    pairs: ["kvm_vm_ioctl+0xcde - kvm_vcpu_release+0x1b", "its creation - kvm_put_kvm"],
    held: [[1, 401]],
    isRemembered: true,
  });
  expect(many).toMatchObject({ pairs: few.pairs, held: [[1, 2401]], isRemembered: false });
});
