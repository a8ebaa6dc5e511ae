/** Kernel files as distributions pack them: modules in .gz, .xz or .zst, and vmlinux inside vmlinuz. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { ReadableStream } from "node:stream/web";
import { gunzipSync } from "node:zlib";
import xz from "xz-decompress";
import { ZSTDDecoder } from "zstddec/stream";
import { isElf } from "./elf.js";
import { UnusableKernel } from "./unusable.js";

/** A file cannot be read: which, why, what to do. */
export class KernelFileError extends UnusableKernel {}

/** Larger ones are no kernel's. */
const LARGEST = 2 ** 30;

const GZIP = "\x1f\x8b";

/** @throws KernelFileError */
export function readKernelFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new KernelFileError(`${path}: cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

/** The file's content without gzip, xz or zstd around it; the ELF inside where it is a bzImage (vmlinuz). */
export async function unpackKernelFile(data: Buffer, path: string): Promise<Buffer> {
  const payload = bzImagePayload(data, path);
  if (payload === null) return unpack(data, path);
  const inner = await unpack(payload, path);
  if (isElf(inner)) return inner;
  throw new KernelFileError(
    `${path}: the kernel inside is packed in a way that ktally does not read (${payload.toString("hex", 0, 4)}); ` +
      "give the vmlinux itself, or /sys/kernel/btf/vmlinux for its BTF",
  );
}

/**
 * The packed kernel in an x86 boot image (Documentation/arch/x86/boot.rst); null when `data` is none.
 * The build appends the unpacked size, 4 bytes, which no decoder expects, to all but gzip (scripts/Makefile.lib).
 */
function bzImagePayload(data: Buffer, path: string): Buffer | null {
  if (data.length < 0x250 || data.toString("latin1", 0x202, 0x206) !== "HdrS") return null;
  const start = ((data[0x1f1] || 4) + 1) * 512 + data.readUInt32LE(0x248);
  const end = start + data.readUInt32LE(0x24c);
  if (end > data.length || end - start < 8) {
    throw new KernelFileError(`${path}: offset ${data.length}: the boot image is cut; copy it again`);
  }
  const payload = data.subarray(start, end);
  return payload.toString("latin1", 0, 2) === GZIP ? payload : payload.subarray(0, -4);
}

async function unpack(data: Buffer, path: string): Promise<Buffer> {
  const magic = data.toString("latin1", 0, 4);
  try {
    if (magic.startsWith(GZIP)) return gunzipSync(data, { maxOutputLength: LARGEST });
    if (magic === "\xfd7zX") return await unpackXz(data);
    if (magic === "\x28\xb5\x2f\xfd") return await unpackZstd(data);
  } catch (error) {
    throw new KernelFileError(`${path}: cannot be unpacked (${error instanceof Error ? error.message : error})`);
  }
  return data;
}

async function unpackXz(data: Buffer): Promise<Buffer> {
  const packed = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new Uint8Array(data));
      controller.close();
    },
  });
  const unpacked = new xz.XzReadableStream(packed as globalThis.ReadableStream<Uint8Array>);
  try {
    return await collect(unpacked as ReadableStream<Uint8Array>);
  } catch (error) {
    // Kernels are packed with the x86 filter (scripts/xz_wrap.sh), which the library was built without.
    if (!(error instanceof Error) || !error.message.includes(`error code ${XZ_OPTIONS_ERROR}`)) throw error;
    return unpackByXzTool(data);
  }
}

/** XZ_OPTIONS_ERROR of xz-embedded: a filter that is not supported. */
const XZ_OPTIONS_ERROR = 6;

function unpackByXzTool(data: Buffer): Buffer {
  const { status, stdout, stderr, error } = spawnSync("xz", ["-dc"], { input: data, maxBuffer: LARGEST });
  if (error !== undefined) throw new Error(`it takes the program xz to unpack it: ${error.message}`);
  if (status !== 0) throw new Error(stderr.toString().trim());
  return stdout;
}

async function unpackZstd(data: Buffer): Promise<Buffer> {
  const decoder = new ZSTDDecoder();
  await decoder.init();
  return collect(decoder.decodeStreaming([data]));
}

async function collect(parts: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Buffer> {
  const kept: Buffer[] = [];
  let size = 0;
  let idle = 0;
  for await (const part of parts) {
    // The zstd decoder repeats a failing call for ever instead of reporting it.
    idle = part.length === 0 ? idle + 1 : 0;
    if (idle > 2) throw new Error("invalid data");
    size += part.length;
    if (size > LARGEST) throw new Error(`it unpacks to more than ${LARGEST} bytes`);
    kept.push(Buffer.from(part));
  }
  return Buffer.concat(kept);
}
