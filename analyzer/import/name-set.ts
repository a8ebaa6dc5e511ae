/**
 * Names that nobody asks about again, by their bytes. A function trace names tens of thousands in any order: as objects
 * of their own each line would fetch several of them from far away; here a look is one slot and the bytes.
 */

/** More functions than a kernel and its modules have that can be traced; a power of two. */
const SLOTS = 262_144;
const MAX_NAMES = SLOTS / 2;

export class NameSet {
  /** Hash, and where in `#text` the name lies; 0 where the slot is free. */
  readonly #slots = new Int32Array(2 * SLOTS);
  /** Two bytes of length, then the name; the first byte is unused, so that no name lies at 0. */
  #text = Buffer.alloc(1 << 16);
  #end = 1;
  #count = 0;

  get isFull(): boolean {
    return this.#count >= MAX_NAMES;
  }

  has(buffer: Buffer, start: number, end: number, hash: number): boolean {
    for (let slot = hash & (SLOTS - 1); ; slot = (slot + 1) & (SLOTS - 1)) {
      const at = this.#slots[2 * slot + 1]!;
      if (at === 0) return false;
      if (this.#slots[2 * slot] === hash && this.#equals(at, buffer, start, end)) return true;
    }
  }

  /** A name that is not in it yet; it must not be full. */
  add(buffer: Buffer, start: number, end: number, hash: number): void {
    const length = end - start;
    this.#count++;
    if (this.#end + 2 + length > this.#text.length) {
      this.#text = Buffer.concat([this.#text], 2 * this.#text.length + length);
    }
    let slot = hash & (SLOTS - 1);
    while (this.#slots[2 * slot + 1] !== 0) slot = (slot + 1) & (SLOTS - 1);
    this.#slots[2 * slot] = hash;
    this.#slots[2 * slot + 1] = this.#end;
    this.#text.writeUInt16LE(length, this.#end);
    buffer.copy(this.#text, this.#end + 2, start, end);
    this.#end += 2 + length;
  }

  #equals(at: number, buffer: Buffer, start: number, end: number): boolean {
    const text = this.#text;
    if ((text[at]! | (text[at + 1]! << 8)) !== end - start) return false;
    for (let from = start, known = at + 2; from < end; from++, known++) if (text[known] !== buffer[from]) return false;
    return true;
  }
}
