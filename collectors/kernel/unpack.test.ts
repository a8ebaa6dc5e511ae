import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { KernelFileError, readKernelFile, unpackKernelFile } from "./unpack.js";

const elf = Buffer.concat([Buffer.from("7f454c460201", "hex"), Buffer.alloc(94, 7)]);

const XZ = "/Td6WFoAAAFpIt42AgAhARYAAAB0L+Wj4ABjAA1dAD+RRYRoPYY5DypnQAAAAAAAsc8uCQABJWSNwKqCkEKZDQEAAAAAAVla";
const ZSTD = "KLUv/QRYbQAAOH9FTEYCAQcBADoBI3cOal0=";

/** A boot image as arch/x86/boot builds it: setup sectors, then the packed kernel. */
function bootImage(payload: Buffer): Buffer {
  const setup = Buffer.alloc(5 * 512);
  setup[0x1f1] = 4;
  setup.write("HdrS", 0x202);
  setup.writeUInt32LE(16, 0x248);
  setup.writeUInt32LE(payload.length, 0x24c);
  return Buffer.concat([setup, Buffer.alloc(16), payload, Buffer.alloc(100)]);
}

test("A module in gzip, xz, zstd or plain gives the same bytes", async () => {
  const packed = {
    plain: elf,
    gzip: gzipSync(elf),
    // `xz --check=crc32 -c`, `zstd -c` of these bytes
    xz: Buffer.from(XZ, "base64"),
    zstd: Buffer.from(ZSTD, "base64"),
  };
  for (const [name, data] of Object.entries(packed)) {
    expect((await unpackKernelFile(data, name)).toString("hex"), name).toBe(elf.toString("hex"));
  }
});

test("The kernel is found inside a boot image, whose packed part has 4 bytes appended", async () => {
  const gzip = bootImage(gzipSync(elf));
  const zstd = bootImage(Buffer.concat([Buffer.from(ZSTD, "base64"), Buffer.alloc(4, 1)]));
  expect(await unpackKernelFile(gzip, "vmlinuz")).toEqual(elf);
  expect(await unpackKernelFile(zstd, "vmlinuz")).toEqual(elf);
});

test("What cannot be read says which file, why and what else would do", async () => {
  const lz4 = bootImage(Buffer.from("02214c1800000000", "hex"));
  await expect(unpackKernelFile(lz4, "vmlinuz")).rejects.toThrow("give the vmlinux itself");
  await expect(unpackKernelFile(bootImage(gzipSync(elf)).subarray(0, 2600), "vmlinuz")).rejects.toThrow("is cut");
  for (const packed of [gzipSync(elf), Buffer.from(XZ, "base64"), Buffer.from(ZSTD, "base64")]) {
    const cut = packed.subarray(0, packed.length - 12);
    await expect(unpackKernelFile(cut, "kvm.ko")).rejects.toThrow("kvm.ko: cannot be unpacked");
  }
  const folder = mkdtempSync(join(tmpdir(), "ktally-"));
  expect(() => readKernelFile(folder)).toThrow(KernelFileError);
  writeFileSync(join(folder, "file"), elf);
  expect(readKernelFile(join(folder, "file"))).toEqual(elf);
});
