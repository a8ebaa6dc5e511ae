/**
 * Rows of one table on their way into the database: cells as typed arrays in shared memory, so that another thread
 * reads them where they are.
 */

export type Cell = bigint | number | string | null;

/** What a cell holds. */
export const CELL = { NULL: 0, NUMBER: 1, BIGINT: 2, TEXT: 3 } as const;

/** What another thread is told. */
export interface PackedRows {
  table: string;
  columns: readonly string[];
  rows: number;
  kinds: Uint8Array;
  /** 64 bits per cell: a double, a signed integer, or which of the texts. */
  values: SharedArrayBuffer;
  /** Each once: most come again and again. */
  texts: string[];
}

export class RowBatch {
  rows = 0;
  readonly #width: number;
  readonly #kinds: Uint8Array;
  readonly #values: SharedArrayBuffer;
  readonly #numbers: Float64Array;
  readonly #integers: BigInt64Array;
  readonly #texts = new Map<string, number>();

  constructor(
    readonly table: string,
    readonly columns: readonly string[],
    private readonly capacity: number,
  ) {
    this.#width = columns.length;
    this.#kinds = new Uint8Array(new SharedArrayBuffer(this.#width * capacity));
    this.#values = new SharedArrayBuffer(8 * this.#width * capacity);
    this.#numbers = new Float64Array(this.#values);
    this.#integers = new BigInt64Array(this.#values);
  }

  get isFull(): boolean {
    return this.rows === this.capacity;
  }

  /** Of integers the low 64 bits are taken, signed. */
  add(cells: readonly Cell[]): void {
    let at = this.rows++ * this.#width;
    for (const cell of cells) {
      if (typeof cell === "number") {
        this.#kinds[at] = CELL.NUMBER;
        this.#numbers[at] = cell;
      } else if (typeof cell === "bigint") {
        this.#kinds[at] = CELL.BIGINT;
        this.#integers[at] = cell;
      } else if (cell === null) {
        this.#kinds[at] = CELL.NULL;
      } else {
        this.#kinds[at] = CELL.TEXT;
        this.#numbers[at] = this.#textNumber(cell);
      }
      at++;
    }
  }

  #textNumber(text: string): number {
    let number = this.#texts.get(text);
    if (number === undefined) {
      number = this.#texts.size;
      this.#texts.set(text, number);
    }
    return number;
  }

  /** What is in it, until it is cleared. */
  pack(): PackedRows {
    const { table, columns, rows } = this;
    return { table, columns, rows, kinds: this.#kinds, values: this.#values, texts: [...this.#texts.keys()] };
  }

  clear(): void {
    this.rows = 0;
    this.#texts.clear();
  }
}

/** Reads the cells of all rows, one after the other. */
export class CellReader {
  readonly #kinds: Uint8Array;
  readonly #numbers: Float64Array;
  readonly #integers: BigInt64Array;
  readonly #texts: readonly string[];
  #at = 0;

  constructor({ kinds, values, texts }: PackedRows) {
    this.#kinds = kinds;
    this.#numbers = new Float64Array(values);
    this.#integers = new BigInt64Array(values);
    this.#texts = texts;
  }

  next(): Cell {
    const at = this.#at++;
    const kind = this.#kinds[at];
    if (kind === CELL.NUMBER) return this.#numbers[at]!;
    if (kind === CELL.BIGINT) return this.#integers[at]!;
    return kind === CELL.TEXT ? this.#texts[this.#numbers[at]!]! : null;
  }
}
