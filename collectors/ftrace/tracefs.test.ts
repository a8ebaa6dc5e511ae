import { describe, expect, it } from "vitest";
import { Refusal } from "../refusal.js";
import { FakeTracefs, ROOT } from "./testing/fake-tracefs.js";
import { type Files, findTracefs, Tracefs } from "./tracefs.js";

const FOREIGN = ["p:kprobes/p_do_exit_0 do_exit", "r64:mine/kvm_init_ret kvm:kvm_init ret=$retval:s32"];

/** A host's files: what is listed exists and reads so; `Error`: reading fails with its message as code. */
function host(files: Record<string, string | Error>): Files {
  const fail = (code: string) => Object.assign(new Error(code), { code });
  const never = () => {
    throw fail("EROFS");
  };
  return {
    exists: (path) => Object.keys(files).some((name) => name === path || name.startsWith(`${path}/`)),
    read(path) {
      const text = files[path];
      if (typeof text === "string") return text;
      throw fail(text?.message ?? "ENOENT");
    },
    list: never,
    write: never,
    append: never,
    makeFolder: never,
    removeFolder: never,
    openToWrite: never,
    close: never,
  };
}

describe("where nothing can be recorded, one sentence says why", () => {
  const fine = { "/sys/kernel/tracing/instances/": "", "/sys/kernel/tracing/kprobe_events": "" };
  it.each<[string, Record<string, string | Error>, number, RegExp]>([
    ["not root", fine, 1000, /needs root/],
    ["no tracefs in the kernel", { "/proc/filesystems": "nodev\tsysfs\n" }, 0, /this kernel has no tracefs/],
    ["tracefs not mounted", { "/proc/filesystems": "nodev\ttracefs\n" }, 0, /mount -t tracefs tracefs \/sys\/kernel/],
    ["no kprobes", { "/sys/kernel/tracing/instances/": "" }, 0, /no kprobe events/],
    [
      "lockdown",
      {
        ...fine,
        "/sys/kernel/tracing/kprobe_events": new Error("EPERM"),
        "/sys/kernel/security/lockdown": "none integrity [confidentiality]\n",
      },
      0,
      /locked down/,
    ],
    [
      "a container's root",
      { ...fine, "/sys/kernel/tracing/kprobe_events": new Error("EACCES") },
      0,
      /cannot be read \(EACCES\)/,
    ],
  ])("%s", (_, files, user, message) => {
    const attempt = () => findTracefs(host(files), user);
    expect(attempt).toThrow(Refusal);
    expect(attempt).toThrow(message);
  });

  it("debugfs' tracing folder will do", () => {
    const files = { "/sys/kernel/debug/tracing/instances/": "", "/sys/kernel/debug/tracing/kprobe_events": "" };
    expect(findTracefs(host(files), 0).root).toBe("/sys/kernel/debug/tracing");
  });
});

describe("arming and disarming", () => {
  it("touches its own instance and its own group only, and undoes all of it", () => {
    const files = new FakeTracefs(FOREIGN);
    const before = files.state();
    const tracefs = new Tracefs(ROOT, files);
    expect(tracefs.createInstance()).toBe(true);
    tracefs.prepare({ bufferKb: 2048, clock: "mono" });
    expect(tracefs.define("p:ktally/kvm_init kvm:kvm_init")).toBeNull();
    expect(tracefs.define("r64:ktally/kvm_init_ret kvm:kvm_init ret=$retval:s32")).toBeNull();
    tracefs.setFilter("ktally", "kvm_init", "common_pid != 0");
    tracefs.enableGroup();
    tracefs.follow([12, 13]);
    tracefs.enable("module", "module_load", true);
    tracefs.setRecording(true);
    expect(tracefs.ownEvents()).toEqual(["kvm_init", "kvm_init_ret"]);
    expect(tracefs.disarm()).toEqual([]);
    expect(tracefs.removeInstance()).toBe(true);
    expect(files.log).toEqual([
      "mkdir instances/ktally",
      "write instances/ktally/tracing_on 0",
      "write instances/ktally/buffer_size_kb 2048",
      "write instances/ktally/trace_clock mono",
      "write instances/ktally/options/stacktrace 1",
      "append kprobe_events p:ktally/kvm_init kvm:kvm_init",
      "append kprobe_events r64:ktally/kvm_init_ret kvm:kvm_init ret=$retval:s32",
      "write instances/ktally/events/ktally/kvm_init/filter common_pid != 0",
      "write instances/ktally/events/ktally/enable 1",
      "write instances/ktally/options/event-fork 1",
      "write instances/ktally/set_event_pid 12 13",
      "write instances/ktally/events/module/module_load/enable 1",
      "write instances/ktally/tracing_on 1",
      "write instances/ktally/tracing_on 0",
      "write instances/ktally/events/enable 0",
      "append kprobe_events -:ktally/",
      "rmdir instances/ktally",
    ]);
    expect(files.state()).toBe(before);
  });

  it("on a kernel that removes no groups removes each event", () => {
    const files = new FakeTracefs(FOREIGN);
    files.knowsGroups = false;
    const before = files.state();
    const tracefs = new Tracefs(ROOT, files);
    tracefs.define("p:ktally/kvm_init kvm:kvm_init");
    tracefs.define("r64:ktally/kvm_init_ret kvm:kvm_init ret=$retval:s32");
    expect(tracefs.disarm()).toEqual([]);
    expect(files.state()).toBe(before);
  });

  it("on a kernel without remains writes nothing", () => {
    const files = new FakeTracefs(FOREIGN);
    const tracefs = new Tracefs(ROOT, files);
    expect(tracefs.hasRemains()).toBe(false);
    expect(tracefs.disarm()).toEqual([]);
    expect(files.log).toEqual([]);
  });

  it("goes on when one event cannot be removed, and says so", () => {
    const files = new FakeTracefs(["p:ktally/a a", "p:ktally/b b"]);
    files.busy.add("ktally/a");
    const tracefs = new Tracefs(ROOT, files);
    expect(tracefs.disarm()).toEqual(["event ktally/a is in use by somebody else and stays (EBUSY)"]);
    expect(tracefs.ownEvents()).toEqual(["a"]);
  });

  it("an instance that somebody reads stays", () => {
    const files = new FakeTracefs();
    const tracefs = new Tracefs(ROOT, files);
    tracefs.createInstance();
    files.open = 1;
    expect(tracefs.removeInstance()).toBe(false);
    files.open = 0;
    expect(tracefs.removeInstance()).toBe(true);
    expect(tracefs.removeInstance()).toBe(true);
  });

  it("a probe that the kernel refuses is told with the kernel's reason", () => {
    const files = new FakeTracefs();
    const line = "p:ktally/x kvm:no_such_function";
    files.contents.set(
      "error_log",
      `[  12.345678] trace_kprobe: error: Failed to register probe event\n  Command: ${line}\n           ^\n`,
    );
    const tracefs = new Tracefs(ROOT, files);
    expect(tracefs.define(line)).toBe("ENOENT: Failed to register probe event");
    files.contents.set("error_log", "[  12.345678] trace_kprobe: error: Bad probe address\n  Command: p:other/y 12\n");
    expect(tracefs.define(line)).toBe("ENOENT");
  });
});

describe("counts", () => {
  it("are those of ktally's events, also where a foreign one has the same name", () => {
    const files = new FakeTracefs([
      ...FOREIGN,
      "r64:ktally/kvm_init_ret kvm:kvm_init",
      "p:ktally/kvm_exit kvm:kvm_exit",
    ]);
    files.hits.set(FOREIGN[1]!, { hits: 7, missed: 1 });
    files.hits.set("r64:ktally/kvm_init_ret kvm:kvm_init", { hits: 3, missed: 2 });
    expect(new Tracefs(ROOT, files).profile()).toEqual(
      new Map([
        ["kvm_init_ret", { hits: 3, missed: 2 }],
        ["kvm_exit", { hits: 0, missed: 0 }],
      ]),
    );
  });

  it("losses and the buffer's size are read per CPU", () => {
    const tracefs = new Tracefs(ROOT, new FakeTracefs());
    tracefs.createInstance();
    expect(tracefs.bufferKb()).toBe(1408);
    expect(tracefs.losses()).toEqual([
      { cpu: 0, overrun: 0, dropped: 0 },
      { cpu: 1, overrun: 40, dropped: 2 },
    ]);
  });
});
