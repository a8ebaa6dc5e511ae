import { deflateSync, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { storedZstd } from "./testing/trace-dat-builder.js";
import { detectWrapper, UnpacksTooLarge, unwrap, type Wrapper } from "./unwrap.js";

const TEXT = "# tracer: nop\n  bash-1 [000] 1.000000: foo: a=1\n";
/** printf of TEXT | xz -9 --check=crc32 */
const XZ = Buffer.from(
  "/Td6WFoAAAFpIt42AgAhARwAAAAQz1jMAQAvIyB0cmFjZXI6IG5vcAogIGJhc2gtMSBbMDAwXSAxLjAwMDAwMDogZm9vOiBhPTEKAD5yP/gAAUQwhg9KkpBCmQ0BAAAAAAFZWg==",
  "base64",
);

const PACKED: [Wrapper, Buffer][] = [
  ["gzip", gzipSync(TEXT)],
  ["xz", XZ],
  ["zstd", storedZstd(Buffer.from(TEXT))],
];

function* pieces(bytes: Buffer, size = 7) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function textOf(wrapper: Wrapper, packed: Buffer): Promise<{ text: string; damage: string | null }> {
  const { content, damage } = await unwrap(wrapper, pieces(packed));
  return { text: content.read(0, content.size).toString(), damage };
}

describe.each(PACKED)("%s", (wrapper, packed) => {
  it("is known by its first bytes", () => {
    expect(detectWrapper(packed)).toBe(wrapper);
    expect(detectWrapper(packed.subarray(0, 1))).toBeNull();
  });

  it("is unpacked, whatever the pieces", async () => {
    expect(await textOf(wrapper, packed)).toEqual({ text: TEXT, damage: null });
  });

  it("may hold several parts", async () => {
    expect(await textOf(wrapper, Buffer.concat([packed, packed]))).toEqual({ text: TEXT + TEXT, damage: null });
  });

  it("that is cut says so", async () => {
    const { damage } = await textOf(wrapper, packed.subarray(0, packed.length - 12));
    expect(damage).toContain(`the ${wrapper} data is cut or damaged`);
  });

  it("that is damaged at any byte ends", async () => {
    for (let at = 0; at < packed.length; at++) {
      const copy = Buffer.from(packed);
      copy[at]! ^= 0x55;
      await textOf(wrapper, copy);
    }
  });

  it("that unpacks to too much is refused", async () => {
    const limits = { bytes: 10, ratio: 1000, ratioFrom: 1000 };
    await expect(unwrap(wrapper, pieces(packed), limits)).rejects.toThrow(UnpacksTooLarge);
  });
});

it("a high ratio is refused only where it matters", async () => {
  const packed = gzipSync(Buffer.alloc(1 << 20));
  const limits = { bytes: 1 << 30, ratio: 100 };
  await expect(unwrap("gzip", [packed], { ...limits, ratioFrom: 1 << 16 })).rejects.toThrow(UnpacksTooLarge);
  expect((await unwrap("gzip", [packed], { ...limits, ratioFrom: 1 << 21 })).content.size).toBe(1 << 20);
});

it("what came out before the damage is kept", async () => {
  const text = Array.from({ length: 20_000 }, (_, line) => `line ${line * 7919}\n`).join("");
  const packed = gzipSync(text);
  const { text: kept, damage } = await textOf("gzip", packed.subarray(0, packed.length - 2000));
  expect(damage).not.toBeNull();
  expect(text.startsWith(kept)).toBe(true);
  expect(kept.length).toBeGreaterThan(text.length / 2);
});

it("an error of the source is not taken for damage", async () => {
  function* failing(): Generator<Buffer> {
    yield gzipSync(TEXT).subarray(0, 10);
    throw new Error("EIO");
  }
  await expect(unwrap("gzip", failing())).rejects.toThrow("EIO");
});

describe("atrace -z", () => {
  const packed = Buffer.concat([Buffer.from("TRACE:\n"), deflateSync(TEXT)]);

  it("writes a line and then a zlib stream", async () => {
    expect(detectWrapper(packed)).toBe("atrace");
    expect(detectWrapper(Buffer.from(`TRACE:\n${TEXT}`))).toBeNull();
    expect(await textOf("atrace", packed)).toEqual({ text: TEXT, damage: null });
  });

  it("that is cut says so", async () => {
    const { damage } = await textOf("atrace", packed.subarray(0, packed.length - 8));
    expect(damage).toContain("the atrace data is cut or damaged");
  });
});
