import fc from "fast-check";
import { expect, test } from "vitest";
import { printText, probeFields, tracepointFields } from "./text-body.js";

const args = (body: string) => {
  const { names, values } = probeFields(body);
  return Object.fromEntries(names.map((name, index) => [name, values[index]]));
};

test("arguments of probes", () => {
  expect(args(" kvm=0xffffacd2c01c9000 refs=1 delta=-1")).toEqual({ kvm: 0xffffacd2c01c9000n, refs: 1n, delta: -1n });
  expect(args(" dfd=ffffff9c $retval=fffffffffffffffe")).toEqual({ dfd: 0xffffff9cn, $retval: 0xfffffffffffffffen });
  expect(args(" ops=0xffffffffc054a6a0 sym=kvm_vfio_ops+0x0/0x40 [kvm] type=4")).toEqual({
    ops: 0xffffffffc054a6a0n,
    sym: "kvm_vfio_ops+0x0/0x40 [kvm]",
    type: 4n,
  });
  expect(args(' arg1=0xffffffffc057c080 arg2="fake"')).toEqual({ arg1: 0xffffffffc057c080n, arg2: "fake" });
  expect(args(" name=(fault) list={0x1,0x2} c='x'")).toEqual({ name: null, list: "{0x1,0x2}", c: "x" });
  expect(args("")).toEqual({});
});

test("quotes inside a string are not escaped, keys inside are none", () => {
  expect(args(' arg1="echo "hello world""')).toEqual({ arg1: 'echo "hello world"' });
  expect(args(' a="x b=1 y" c="" d=2')).toEqual({ a: "x b=1 y", c: "", d: 2n });
  expect(args(' a="never closed')).toEqual({ a: '"never closed' });
});

test("numbers are 64 bits wide at most", () => {
  expect(args(" a=18446744073709551615 b=123456789012345678901 c=0x12345678901234567")).toEqual({
    a: 0xffffffffffffffffn,
    b: "123456789012345678901",
    c: "0x12345678901234567",
  });
});

test.each([
  ["module_load", "kvm_amd OE", { taints: "OE", name: "kvm_amd" }],
  ["module_load", "kvm ", { taints: "", name: "kvm" }],
  ["module_load", "taints=12288 name=kvm_amd", { taints: 12288n, name: "kvm_amd" }],
  ["module_free", "kvm", { name: "kvm" }],
  ["module_free", "name=kvm_amd", { name: "kvm_amd" }],
  ["module_get", "kvm_amd call_site=misc_open refcnt=2", { ip: "misc_open", refcnt: 2n, name: "kvm_amd" }],
  ["module_put", "kvm call_site=kvm_destroy_vm [kvm] refcnt=1", { ip: "kvm_destroy_vm", refcnt: 1n, name: "kvm" }],
  ["module_put", "ip=__fput refcnt=8 name=kvm_amd", { ip: "__fput", refcnt: 8n, name: "kvm_amd" }],
  [
    "workqueue_queue_work",
    "work struct=0xffff8cd7c26b91e8 function=wb_workfn workqueue=writeback req_cpu=8192 cpu=-1",
    { work: 0xffff8cd7c26b91e8n, function: "wb_workfn", workqueue: "writeback", req_cpu: 8192n, cpu: -1n },
  ],
  ["workqueue_activate_work", "work struct 0xffff8cd7c26b91e8", { work: 0xffff8cd7c26b91e8n }],
  [
    "workqueue_execute_end",
    "work struct 0xffffce16003f6bf8: function process_srcu",
    { work: 0xffffce16003f6bf8n, function: "process_srcu" },
  ],
  ["kvm_entry", "vcpu 0 rip 0x1000", { vcpu: 0n, rip: 0x1000n, body: "vcpu 0 rip 0x1000" }],
  ["kvm_userspace_exit", "reason KVM_EXIT_IO (2)", { body: "reason KVM_EXIT_IO (2)" }],
  [
    "irq_handler_entry",
    "irq=28 name=virtio1-requests",
    { irq: 28n, name: "virtio1-requests", body: "irq=28 name=virtio1-requests" },
  ],
  ["bprint", "select_task_rq_fair: fig: cpu=0", { body: "select_task_rq_fair: fig: cpu=0" }],
])("%s: %s", (name, body, expected) => {
  const { names, values } = tracepointFields(name, body);
  expect(names).toEqual(Object.keys(expected));
  expect(Object.fromEntries(names.map((field, index) => [field, values[index]]))).toEqual(expected);
});

test("what was written to trace_marker", () => {
  expect(printText("tracing_mark_write", "B|598|some event")).toBe("B|598|some event");
  expect(printText("print", "tracing_mark_write: hello")).toBe("hello");
  expect(printText("print", "ip=tracing_mark_write buf=hello")).toBe("hello");
});

test("any body gives as many values as names", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (body) => {
      for (const { names, values } of [probeFields(body), tracepointFields("module_get", body)]) {
        expect(values.length).toBe(names.length);
      }
    }),
  );
});
