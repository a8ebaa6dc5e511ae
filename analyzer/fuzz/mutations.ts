/**
 * Damage that knows what it damages. In binary files it looks for numbers that may be lengths, counts or offsets and
 * makes them absurd, or points them at each other; whole stretches are moved, doubled and cut out. In text it works on
 * lines, words and numbers.
 */
import fc from "fast-check";

/** Copies of `file` with some damage; smaller damage when shrunk. */
export function mutated(file: Buffer): fc.Arbitrary<Buffer> {
  const change: fc.Arbitrary<Change> = isText(file) ? textChange(file) : binaryChange(file);
  return fc.array(change, { minLength: 1, maxLength: 6 }).map((changes) => {
    let copy: Buffer = Buffer.from(file);
    for (const apply of changes) copy = apply(copy);
    return copy;
  });
}

/** @returns the changed bytes; may change the ones given. */
type Change = (bytes: Buffer) => Buffer;

/** Nobody's file grows beyond this by damage. */
const LONGEST_RUN = 200_000;

function isText(file: Buffer): boolean {
  return !file.subarray(0, 4096).includes(0);
}

const EXTREMES = [
  0n,
  1n,
  2n,
  7n,
  0xffn,
  0xfff8n,
  0xffffn,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  0x7fffffffffffffffn,
  0xffffffffffffffffn,
];

/** Places of little-endian words that are as small as lengths and offsets in this file are. */
function numbersIn(file: Buffer): number[] {
  const places: number[] = [];
  for (let at = 0; at + 8 <= file.length && places.length < 20_000; at += 4) {
    const value = file.readUInt32LE(at);
    if (value > 0 && value < file.length) places.push(at);
  }
  return places;
}

function binaryChange(file: Buffer): fc.Arbitrary<Change> {
  const offset = fc.nat(file.length - 1);
  const length = fc.oneof(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 5000 }));
  const numbers = numbersIn(file);
  const place = numbers.length === 0 ? offset : fc.oneof(fc.constantFrom(...numbers), offset);
  const size = fc.constantFrom(2, 4, 8);
  return fc.oneof(
    fc.tuple(offset, fc.integer({ min: 1, max: 255 })).map(([at, value]): Change => flip(at, value)),
    fc.tuple(place, size, fc.constantFrom(...EXTREMES)).map(([at, bytes, value]): Change => write(at, bytes, value)),
    // Points one number at where another one is: sections that contain or follow themselves.
    fc.tuple(place, place, size).map(([at, target, bytes]): Change => write(at, bytes, BigInt(target))),
    fc.tuple(place, fc.integer({ min: -9, max: 9 })).map(([at, by]): Change => add(at, by)),
    fc.tuple(offset, offset, length).map(([from, to, bytes]): Change => overwrite(from, to, bytes)),
    fc.tuple(offset, length).map(([at, bytes]): Change => cutOut(at, bytes)),
    fc.tuple(offset, length).map(([at, bytes]): Change => double(at, bytes)),
    offset.map(
      (at): Change =>
        (bytes) =>
          bytes.subarray(0, Math.min(at, bytes.length)),
    ),
  );
}

const flip =
  (at: number, value: number): Change =>
  (bytes) => {
    if (at < bytes.length) bytes[at]! ^= value;
    return bytes;
  };

const write =
  (at: number, size: number, value: bigint): Change =>
  (bytes) => {
    for (let index = 0; index < size && at + index < bytes.length; index++) {
      bytes[at + index] = Number((value >> BigInt(8 * index)) & 0xffn);
    }
    return bytes;
  };

const add =
  (at: number, by: number): Change =>
  (bytes) => {
    if (at + 4 <= bytes.length) bytes.writeUInt32LE((bytes.readUInt32LE(at) + by) >>> 0, at);
    return bytes;
  };

const overwrite =
  (from: number, to: number, length: number): Change =>
  (bytes) => {
    if (from < bytes.length) bytes.copy(bytes, Math.min(to, bytes.length), from, Math.min(bytes.length, from + length));
    return bytes;
  };

const cutOut =
  (at: number, length: number): Change =>
  (bytes) =>
    Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);

const double =
  (at: number, length: number): Change =>
  (bytes) =>
    Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);

const WORDS = [
  "-1",
  "0",
  "99999999999",
  "18446744073709551616",
  "1e400",
  "0xffffffffffffffff",
  "0x",
  "NaN",
  "(fault)",
  "",
  "\0",
  "\u202e",
  "=",
  '"',
  "{",
  "(",
  "<-",
  "=> ",
  "kprobe:",
  "[000]",
  "__proto__",
  "constructor=1",
  "[LOST 99999999999999999999 EVENTS]",
];

function textChange(file: Buffer): fc.Arbitrary<Change> {
  const lines = file.toString("latin1").split("\n").length;
  const line = fc.nat(Math.max(0, lines - 1));
  const word = fc.constantFrom(...WORDS);
  const many = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(1000, LONGEST_RUN));
  const onLines = (change: (all: string[]) => void): Change => {
    return (bytes) => {
      const all = bytes.toString("latin1").split("\n");
      change(all);
      return Buffer.from(all.join("\n"), "latin1");
    };
  };
  const onLine = (at: number, change: (text: string) => string) =>
    onLines((all) => {
      if (all[at] !== undefined) all[at] = change(all[at]);
    });
  return fc.oneof(
    fc.tuple(line, fc.nat(30), word).map(([at, nth, text]) => onLine(at, (old) => replaceWord(old, nth, () => text))),
    fc
      .tuple(line, fc.nat(30), word, many)
      .map(([at, nth, text, count]) =>
        onLine(at, (old) => replaceWord(old, nth, (was) => was + repeat(text === "" ? was : text, count))),
      ),
    fc
      .tuple(line, fc.nat(200), word)
      .map(([at, column, text]) => onLine(at, (old) => old.slice(0, column) + text + old.slice(column))),
    fc.tuple(line, line).map(([a, b]) => onLines((all) => swap(all, a, b))),
    fc.tuple(line, fc.integer({ min: 1, max: 200 })).map(([at, count]) =>
      onLines((all) => {
        all.splice(at, 0, ...Array<string>(count).fill(all[at] ?? ""));
      }),
    ),
    fc.tuple(line, fc.integer({ min: 1, max: 50 })).map(([at, count]) =>
      onLines((all) => {
        all.splice(at, count, all.slice(at, at + count).join(""));
      }),
    ),
    fc.tuple(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 })).map(([at, value]) => flip(at, value)),
    fc.nat(file.length - 1).map(
      (at): Change =>
        (bytes) =>
          bytes.subarray(0, Math.min(at, bytes.length)),
    ),
  );
}

function replaceWord(text: string, nth: number, change: (word: string) => string): string {
  let seen = 0;
  return text.replace(/[\w.$-]+/g, (word) => (seen++ === nth ? change(word) : word));
}

function repeat(text: string, count: number): string {
  return text.repeat(Math.min(count, Math.ceil(LONGEST_RUN / Math.max(1, text.length))));
}

function swap(all: string[], a: number, b: number): void {
  if (all[a] !== undefined && all[b] !== undefined) [all[a], all[b]] = [all[b], all[a]];
}
