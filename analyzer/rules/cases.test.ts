import { describe, expect, it } from "vitest";
import { auditDrawn } from "../testing/text.js";
import { MOST_CASES } from "./cases.js";

const DEVICE = "0xffff8c62c23f8800";
const VM = "0xffffca47c0421000";

describe("of more cases than anybody reads", () => {
  it("an object's first one is told, however often its counter is wrong", async () => {
    const put = (index: number) =>
      `wl-1 [000] ..... 10.${String(index).padStart(6, "0")}: p1: (kvm_put_kvm+0x11/0x80 [kvm]) kvm=${VM} refs=${index === 3000 ? 1 : 0} delta=-1`;
    const { findings } = await auditDrawn(Array.from({ length: 3001 }, (_, index) => put(index)).join("\n"));
    expect(findings.map(({ rule, verdict }) => `${rule} ${verdict}`)).toEqual(["extra-put proven"]);
    expect(findings[0]?.trigger?.event.id).toBe(1);
  });

  it("a field that never counts anything is no counter", async () => {
    const put = (seconds: number) =>
      `wl-1 [000] ..... ${seconds}.000000: p1: (kvm_put_kvm+0x11/0x80 [kvm]) kvm=${VM} refs=0 delta=-1`;
    const { findings } = await auditDrawn([put(10), put(11)].join("\n"));
    expect(findings.map(({ rule, verdict }) => `${rule} ${verdict}`)).toEqual(["extra-put suspected"]);
  });

  it("the first ones are told", async () => {
    const put = (index: number) =>
      `wl-1 [000] ..... 10.${String(index).padStart(6, "0")}: p1: (kvm_put_kvm+0x11/0x80 [kvm]) kvm=0xffffca47c${(0x1000 + index).toString(16)}000 refs=0 delta=-1`;
    const { findings } = await auditDrawn(
      Array.from({ length: MOST_CASES + 500 }, (_, index) => put(index)).join("\n"),
    );
    expect(findings).toHaveLength(MOST_CASES);
  });

  it("a plain count comes out even, however often it changed", async () => {
    const line = (micros: number, text: string) =>
      `work-207 [001] ..... ${10 + Math.floor(micros / 1e6)}.${String(micros % 1e6).padStart(6, "0")}: ${text}`;
    const pinned = (micros: number) => [
      line(micros, `vfio_pin_pages: (vfio_pin_pages+0x0/0x80 [vfio]) device=${DEVICE} iova=0x1000 npage=2`),
      line(micros + 1, "vfio_pin_pages_ret: (lab_pin+0x3f/0x60 [vfio_user] <- vfio_pin_pages) ret=2"),
    ];
    const unpinned = (micros: number) =>
      line(micros, `vfio_unpin_pages: (vfio_unpin_pages+0x0/0x60 [vfio]) device=${DEVICE} iova=0x1000 npage=2`);
    const closed = line(
      9e6,
      `device_put: (vfio_device_put_registration+0x11/0x40 [vfio]) device=${DEVICE} refs=2 delta=-1`,
    );
    const pairs = Array.from({ length: 3 * MOST_CASES }, (_, index) => [
      ...pinned(10 * index),
      unpinned(10 * index + 5),
    ]).flat();
    const even = await auditDrawn([...pairs, closed].join("\n"));
    expect(even.findings).toEqual([]);
    const { findings } = await auditDrawn([...pinned(0), ...pairs.slice(3), closed].join("\n"));
    expect(findings.map(({ title }) => title)).toEqual([expect.stringMatching(/: 2 pinned pages? left/)]);
  });
});
