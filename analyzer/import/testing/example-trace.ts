/** A small trace with every kind of record, told the same way on every machine. */

import type { BuiltFormat, BuiltRecord } from "./ring-buffer-builder.js";
import type { BuiltTrace } from "./trace-dat-builder.js";

export const MODULE_GET: BuiltFormat = {
  system: "module",
  name: "module_get",
  id: 300,
  fields: [
    { declaration: "unsigned long ip", size: "long" },
    { declaration: "int refcnt", size: 4, signed: true },
    { declaration: "__data_loc char[] name", size: 4 },
  ],
};

export const KVM_PUT: BuiltFormat = {
  system: "kprobes",
  name: "p_kvm_put_kvm_0",
  id: 1500,
  fields: [
    { declaration: "unsigned long __probe_ip", size: "long" },
    { declaration: "u64 kvm", size: 8 },
    { declaration: "s32 delta", size: 4, signed: true },
    { declaration: "__data_loc char[] why", size: 4 },
  ],
};

export const KVM_RETURN: BuiltFormat = {
  system: "kprobes",
  name: "r_register_0",
  id: 1501,
  fields: [
    { declaration: "unsigned long __probe_func", size: "long" },
    { declaration: "unsigned long __probe_ret_ip", size: "long" },
    { declaration: "s64 ret", size: 8, signed: true },
  ],
};

export const ARRAYS: BuiltFormat = {
  system: "test",
  name: "arrays",
  id: 1502,
  fields: [
    { declaration: "char comm[16]", size: 16 },
    { declaration: "__rel_loc char[] text", size: 4 },
    { declaration: "u8 mac[6]", size: 6 },
    { declaration: "__data_loc u8[] blob", size: 4 },
  ],
};

export const KERNEL_STACK: BuiltFormat = {
  system: "ftrace",
  name: "kernel_stack",
  id: 4,
  fields: [
    { declaration: "int size", size: 4, signed: true },
    { declaration: "unsigned long caller[]", size: 0 },
  ],
};

export const USER_STACK: BuiltFormat = {
  system: "ftrace",
  name: "user_stack",
  id: 12,
  fields: [
    { declaration: "unsigned int tgid", size: 4 },
    { declaration: "unsigned long caller[]", size: 0 },
  ],
};

export const PRINT: BuiltFormat = {
  system: "ftrace",
  name: "print",
  id: 5,
  fields: [
    { declaration: "unsigned long ip", size: "long" },
    { declaration: "char buf[]", size: 0 },
  ],
};

/** Linux 7.2; before 6.15 without the arguments. */
export const FUNCTION: BuiltFormat = {
  system: "ftrace",
  name: "function",
  id: 1,
  fields: [
    { declaration: "unsigned long ip", size: "long" },
    { declaration: "unsigned long parent_ip", size: "long" },
    { declaration: "unsigned long args[]", size: 0 },
  ],
};

/** Linux 6.1. */
export const GRAPH_ENTRY: BuiltFormat = {
  system: "ftrace",
  name: "funcgraph_entry",
  id: 11,
  fields: [
    { declaration: "unsigned long func", size: "long" },
    { declaration: "int depth", size: 4, signed: true },
  ],
};

export const GRAPH_EXIT: BuiltFormat = {
  system: "ftrace",
  name: "funcgraph_exit",
  id: 10,
  fields: [
    { declaration: "unsigned long func", size: "long" },
    { declaration: "int depth", size: 4, signed: true },
    { declaration: "unsigned int overrun", size: 4 },
    { declaration: "unsigned long long calltime", size: 8 },
    { declaration: "unsigned long long rettime", size: 8 },
  ],
};

const NEVER_FIRED: BuiltFormat = { ...MODULE_GET, name: "module_put", id: 301 };

/** Addresses that 32-bit kernels have, too. */
export const PUT = 0xc0001000n;
export const REGISTER = 0xc0002000n;
export const INIT = 0xc0003000n;

export function kvmPut(delta: number, kvm: bigint, change = -1n, why: string | Buffer = "last"): BuiltRecord {
  return { format: KVM_PUT, delta, tid: 70, values: [PUT, kvm, change, why] };
}

export function stack(delta: number, tid: number, ...frames: bigint[]): BuiltRecord {
  return { format: KERNEL_STACK, delta, tid, values: [BigInt(frames.length), frames] };
}

export function exampleTrace(changes: Partial<BuiltTrace> = {}): BuiltTrace {
  return {
    version: 7,
    compression: "none",
    littleEndian: true,
    longSize: 8,
    pageSize: 4096,
    formats: [
      MODULE_GET,
      NEVER_FIRED,
      KVM_PUT,
      KVM_RETURN,
      ARRAYS,
      KERNEL_STACK,
      USER_STACK,
      PRINT,
      FUNCTION,
      GRAPH_ENTRY,
      GRAPH_EXIT,
    ],
    kallsyms: [
      "c0000f00 T kvm_get_kvm\t[kvm]",
      "c0001000 t kvm_put_kvm.part.0\t[kvm]",
      "c0002000 T kvm_register_device_ops\t[kvm]",
      "c0003000 t kvm_init\t[kvm]",
      "",
    ].join("\n"),
    comms: [
      [70, "CPU 0/KVM"],
      [71, "insmod"],
    ],
    clock: "local [mono] boot\n",
    options: [[5, "Linux host 6.1.0-test x86_64"]],
    buffers: new Map([
      [
        "",
        new Map([
          [
            1,
            [
              { time: 1000n, records: [kvmPut(5, 0xffff888100000000n), stack(1, 70, PUT + 1n, INIT + 0x10n)] },
              { time: 2000n, records: [{ format: KVM_RETURN, tid: 71, values: [REGISTER, INIT + 0x20n, -17n] }] },
            ],
          ],
          [
            4,
            [
              {
                time: 1500n,
                records: [
                  { format: MODULE_GET, tid: 71, flags: 1, values: [INIT, 3n, "kvm_amd"] },
                  {
                    format: ARRAYS,
                    delta: 7,
                    tid: 0,
                    values: ["swapper", "relative", Buffer.from("0123"), Buffer.from([1, 2])],
                  },
                  { format: PRINT, delta: 1, tid: 99, values: [INIT, "hello\n"] },
                ],
              },
            ],
          ],
        ]),
      ],
    ]),
    ...changes,
  };
}
