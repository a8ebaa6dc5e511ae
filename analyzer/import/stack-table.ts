/** One object for each different stack and each different address of a source. */

import type { Address, CodeLocation, Stack } from "./trace-event.js";

interface Entry {
  words: Uint32Array;
  stack: Stack;
  /** Another stack with the same hash. */
  next: Entry | null;
}

const ALL_ONES = 0xffffffff;

export class StackTable {
  private readonly byHash = new Map<number, Entry>();
  private readonly byAddress = new Map<Address, CodeLocation>();

  constructor(
    private readonly resolve: (address: Address) => CodeLocation,
    private readonly longSize: 4 | 8,
    private readonly littleEndian: boolean,
  ) {}

  /** The same object for equal addresses. */
  locate(address: Address): CodeLocation {
    let location = this.byAddress.get(address);
    if (location === undefined) {
      location = this.resolve(address);
      this.byAddress.set(address, location);
    }
    return location;
  }

  /**
   * The stack in `words[start..end)`, kernel longs up to one of all ones. Most records repeat a stack, so the words are
   * hashed and compared before anything is built.
   */
  intern(words: Uint32Array, start: number, end: number): Stack {
    const step = this.longSize / 4;
    let stop = start;
    while (stop + step <= end && !(words[stop] === ALL_ONES && words[stop + step - 1] === ALL_ONES)) stop += step;

    let hash = 0x811c9dc5;
    for (let at = start; at < stop; at++) hash = Math.imul(hash ^ words[at]!, 0x01000193);
    const first = this.byHash.get(hash) ?? null;
    for (let entry = first; entry !== null; entry = entry.next) {
      if (isEqual(entry.words, words, start, stop)) return entry.stack;
    }
    const copy = words.slice(start, stop);
    const stack = { frames: this.frames(copy) };
    this.byHash.set(hash, { words: copy, stack, next: first });
    return stack;
  }

  private frames(words: Uint32Array): CodeLocation[] {
    const frames: CodeLocation[] = [];
    for (let at = 0; at < words.length; at += this.longSize / 4) {
      let address = BigInt(words[at]!);
      if (this.longSize === 8) {
        const [low, high] = this.littleEndian ? [at, at + 1] : [at + 1, at];
        address = (BigInt(words[high]!) << 32n) | BigInt(words[low]!);
      }
      frames.push(this.locate(address));
    }
    return frames;
  }
}

function isEqual(entry: Uint32Array, words: Uint32Array, start: number, end: number): boolean {
  if (entry.length !== end - start) return false;
  for (let at = 0; at < entry.length; at++) if (entry[at] !== words[start + at]) return false;
  return true;
}
