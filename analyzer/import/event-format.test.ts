import { describe, expect, it } from "vitest";
import { parseEventFormat, parsePageHeader } from "./event-format.js";

const COMMON = `
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;
`;

function format(name: string, fields: string, system = "test") {
  return parseEventFormat(`name: ${name}\nID: 77\nformat:${COMMON}\n${fields}\n\nprint fmt: "%d", REC->x\n`, system);
}

/** `name content place signed`, by field. */
function shapes(fields: string): string[] | undefined {
  return format("x", fields)?.fields.map(({ name, content, place, signed }) => `${name} ${content} ${place} ${signed}`);
}

describe("fields", () => {
  it.each([
    ["int refcnt;\toffset:16;\tsize:4;\tsigned:1;", "refcnt integer here true"],
    ["const char * fmt;\toffset:16;\tsize:8;\tsigned:0;", "fmt integer here false"],
    ["struct kvm *kvm;\toffset:16;\tsize:8;\tsigned:0;", "kvm integer here false"],
    ["char comm[16];\toffset:8;\tsize:16;\tsigned:1;", "comm text here true"],
    ["char comm[TASK_COMM_LEN];\toffset:8;\tsize:16;\tsigned:1;", "comm text here true"],
    ["__data_loc char[] name;\toffset:8;\tsize:4;\tsigned:1;", "name text data_loc true"],
    ["__rel_loc char[] name;\toffset:8;\tsize:4;\tsigned:0;", "name text rel_loc false"],
    ["__data_loc unsigned char[] blob;\toffset:8;\tsize:4;\tsigned:0;", "blob bytes data_loc false"],
    ["__data_loc cpumask_t mask;\toffset:8;\tsize:4;\tsigned:0;", "mask bytes data_loc false"],
    ["unsigned long args[6];\toffset:8;\tsize:48;\tsigned:0;", "args bytes here false"],
    ["unsigned long caller;\toffset:8;\tsize:64;\tsigned:0;", "caller bytes here false"],
    ["char buf[];\toffset:16;\tsize:0;\tsigned:1;", "buf text here true"],
    // 2.6.31 does not say whether a field is signed.
    ["int prio;\toffset:16;\tsize:4;", "prio integer here false"],
    // Some vendor kernels use spaces.
    ["pid_t pid; offset:8; size:4; signed:1;", "pid integer here true"],
  ])("%s", (line, shape) => {
    expect(shapes(`\tfield:${line}`)).toEqual([shape]);
  });

  it("that make no sense are left out, the others stay", () => {
    expect(
      shapes(`\tfield:;\toffset:8;\n\tfield:${"x".repeat(5000)}\n\tfield:u8 a;\toffset:8;\tsize:1;\tsigned:0;`),
    ).toEqual(["a integer here false"]);
  });
});

describe("kinds", () => {
  const word = (name: string, at: number) => `\tfield:unsigned long ${name};\toffset:${at};\tsize:8;\tsigned:0;\n`;

  it("a kprobe has the probe's address, and does not list it", () => {
    expect(format("p_x", word("__probe_ip", 8) + word("kvm", 16))).toMatchObject({
      kind: "kprobe",
      id: 77,
      address: { name: "__probe_ip" },
      returnAddress: null,
      fields: [{ name: "kvm" }],
    });
  });

  it("a kretprobe has the function and where it returned to", () => {
    expect(format("r_x", word("__probe_func", 8) + word("__probe_ret_ip", 16) + word("ret", 24))).toMatchObject({
      kind: "kretprobe",
      address: { name: "__probe_func" },
      returnAddress: { name: "__probe_ret_ip" },
      fields: [{ name: "ret" }],
    });
  });

  it("all others are tracepoints, but for the two prints of ftrace", () => {
    expect(format("print", word("ip", 8), "ftrace")?.kind).toBe("print");
    expect(format("bprint", word("ip", 8), "ftrace")?.kind).toBe("print");
    expect(format("print", word("ip", 8), "mine")?.kind).toBe("tracepoint");
  });
});

it("a text without name, id or fields is none", () => {
  expect(parseEventFormat("", "test")).toBeNull();
  expect(parseEventFormat(`name: x\nformat:${COMMON}`, "test")).toBeNull();
  expect(parseEventFormat(`name: x\nID: 70000\nformat:${COMMON}`, "test")).toBeNull();
  expect(parseEventFormat("name: x\nID: 7\nformat:\n", "test")).toBeNull();
});

describe("page header", () => {
  const text = (size: number, data: number) =>
    [
      "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;",
      `\tfield: local_t commit;\toffset:8;\tsize:${size};\tsigned:1;`,
      "\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;",
      `\tfield: char data;\toffset:${data};\tsize:4080;\tsigned:1;`,
    ].join("\n");

  it("tells the kernel's long", () => {
    expect(parsePageHeader(text(8, 16))).toEqual({ longSize: 8, dataOffset: 16 });
    expect(parsePageHeader(text(4, 12))).toEqual({ longSize: 4, dataOffset: 12 });
  });

  it("is not believed when it contradicts itself", () => {
    expect(parsePageHeader(text(8, 12))).toBeNull();
    expect(parsePageHeader(text(3, 11))).toBeNull();
    expect(parsePageHeader("")).toBeNull();
  });
});
