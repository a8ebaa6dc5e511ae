import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openInput } from "./input.js";
import { Spool } from "./spool.js";
import { UnreadableInput } from "./trace-event.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ktally-test-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function linesOf(lines: AsyncIterable<string> | null): Promise<string[]> {
  const all: string[] = [];
  for await (const line of lines ?? []) all.push(line);
  return all;
}

describe("a file", () => {
  it("has random access and a head", async () => {
    const input = await openInput(file("a.txt", "0123456789".repeat(10_000)));
    expect(input.size).toBe(100_000);
    expect(input.head.length).toBe(0x10000);
    expect(input.read(99_995, 100).toString()).toBe("56789");
    expect(input.read(200_000, 100).length).toBe(0);
    expect(input.lines).toBeNull();
    input.close();
    input.close();
  });

  it("is unpacked by its content, whatever its name", async () => {
    const input = await openInput(file("a.dat", gzipSync("hello")));
    expect(input.read(0, 10).toString()).toBe("hello");
    expect(input.damage).toBeNull();
    input.close();
  });

  it("of procfs is read although it claims to be empty", async () => {
    const input = await openInput("/proc/self/stat");
    expect(input.size).toBeGreaterThan(10);
    input.close();
  });
});

describe("what cannot be read is told in one line", () => {
  it.each([
    ["a missing file", () => join(folder, "none"), "there is no such file; check the name"],
    ["a file as a folder", () => join(file("f", "x"), "y"), "there is no such file; check the name"],
    ["an empty file", () => file("empty", ""), "is empty; record the trace again"],
    ["a packed empty file", () => file("empty.gz", gzipSync("")), "unpacks to nothing; copy or pack it again"],
    ["a directory", () => folder, "is a directory; name a trace file in it"],
    ["a device", () => "/dev/null", "is not a regular file; pipe it in and name it -"],
  ])("%s", async (_, path, message) => {
    await expect(openInput(path())).rejects.toThrow(new UnreadableInput(`${path()}: ${message}`));
  });

  it("a named pipe, without waiting for its writer", async () => {
    const path = join(folder, "fifo");
    execFileSync("mkfifo", [path]);
    await expect(openInput(path)).rejects.toThrow("is not a regular file");
  });

  it("a file without permission", async () => {
    const path = file("secret", "x");
    chmodSync(path, 0);
    // Root may read everything: look as somebody else does.
    const root = process.geteuid?.() === 0;
    if (root) {
      chmodSync(folder, 0o755);
      process.seteuid?.(65534);
    }
    try {
      await expect(openInput(path)).rejects.toThrow("permission denied");
    } finally {
      if (root) process.seteuid?.(0);
    }
  });

  it("a packed file cut too early", async () => {
    mkdirSync(join(folder, "cut"));
    const path = file("cut/a.gz", gzipSync("hello").subarray(0, 10));
    await expect(openInput(path)).rejects.toThrow(/a\.gz: the gzip data is cut or damaged/);
  });
});

describe("standard input", () => {
  const stream = (...chunks: (string | Buffer)[]) => Readable.from(chunks.map((chunk) => Buffer.from(chunk)));

  it("with text gives a head and all lines", async () => {
    const input = await openInput("-", stream("# tracer", ": nop\r\na\n", "b\nlast"));
    expect(input).toMatchObject({ path: "-", size: null });
    expect(input.head.toString()).toContain("# tracer: nop");
    expect(await linesOf(input.lines)).toEqual(["# tracer: nop", "a", "b", "last"]);
  });

  it("that is long is not read beyond the head before somebody asks", async () => {
    let sent = 0;
    function* endless() {
      for (;;) yield Buffer.from(`line ${sent++}\n`.repeat(100));
    }
    const input = await openInput("-", Readable.from(endless(), { objectMode: false }));
    expect(sent).toBeLessThan(1000);
    let seen = 0;
    for await (const line of input.lines!) {
      expect(line).toBe(`line ${Math.floor(seen++ / 100)}`);
      if (seen === 100_000) break;
    }
    input.close();
  });

  it("that is live is judged by its first lines", async () => {
    const live = new PassThrough();
    live.write("# tracer: nop\n");
    const input = await openInput("-", live);
    expect(input.head.toString()).toBe("# tracer: nop\n");
    live.end("more\n");
    expect(await linesOf(input.lines)).toEqual(["# tracer: nop", "more"]);
  });

  it("without line ends does not fill the memory", async () => {
    const input = await openInput("-", stream("a\n", "x".repeat(1 << 21), "\nb\n"));
    expect(await linesOf(input.lines)).toEqual(["a", "b"]);
  });

  it("with anything else has random access", async () => {
    const input = await openInput("-", stream(Buffer.from([0x17, 8, 0]), "rest"));
    expect(input.lines).toBeNull();
    expect(input.read(3, 10).toString()).toBe("rest");
    input.close();
    const packed = await openInput("-", stream(gzipSync("hello")));
    expect(packed.read(0, 10).toString()).toBe("hello");
    packed.close();
  });

  it("that is empty or breaks is told", async () => {
    await expect(openInput("-", stream())).rejects.toThrow(new UnreadableInput("-: is empty; record the trace again"));
    const broken = new Readable({
      read() {
        this.destroy(new Error("read EIO"));
      },
    });
    await expect(openInput("-", broken)).rejects.toThrow(
      new UnreadableInput("standard input: cannot be read (read EIO)"),
    );
  });
});

it("a spool moves to a file when it grows", () => {
  const spool = new Spool(10);
  for (let part = 0; part < 5; part++) spool.append(Buffer.from(`part${part}`));
  expect(spool.size).toBe(25);
  expect(spool.read(3, 9).toString()).toBe("t0part1pa");
  expect(spool.read(20, 100).toString()).toBe("part4");
  spool.close();
});
