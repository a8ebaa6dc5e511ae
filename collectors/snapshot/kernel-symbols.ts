/** Addresses of a few symbols of the running kernel and its modules, from /proc/kallsyms. */
import { readFileSync } from "node:fs";

export class KernelSymbols {
  readonly #text: Buffer;
  readonly #data = new Map<string, { address: bigint; name: string }[]>();

  /** @param text of /proc/kallsyms: `address type name [module]` a line. */
  constructor(text: Buffer) {
    this.#text = text;
  }

  static ofRunningKernel(): KernelSymbols {
    return new KernelSymbols(readFileSync("/proc/kallsyms"));
  }

  /** False where addresses are hidden (kptr_restrict, no capability). */
  areVisible(): boolean {
    return this.find("init_task", null).some((address) => address !== 0n);
  }

  /** Addresses of every symbol of this name: static variables of several files may share one. */
  find(name: string, module: string | null): bigint[] {
    const needle = module === null ? ` ${name}\n` : ` ${name}\t[${module}]\n`;
    const found: bigint[] = [];
    for (let at = this.#text.indexOf(needle); at >= 0; at = this.#text.indexOf(needle, at + 1)) {
      const start = this.#text.lastIndexOf(0x0a, at) + 1;
      found.push(BigInt(`0x${this.#text.toString("latin1", start, start + 16)}`));
    }
    return found;
  }

  /** Where a function of the kernel itself is, and how many bytes lie between it and the next symbol. */
  extent(name: string): { address: bigint; size: number } | null {
    const [address, ...more] = this.find(name, null);
    if (address === undefined || more.length > 0) return null;
    // The kernel lists its own symbols by rising address.
    let at = this.#text.indexOf(` ${name}\n`);
    for (;;) {
      const start = this.#text.indexOf(0x0a, at) + 1;
      const next = start === 0 ? Number.NaN : Number.parseInt(this.#text.toString("latin1", start, start + 1), 16);
      if (Number.isNaN(next)) return null;
      const size = BigInt(`0x${this.#text.toString("latin1", start, start + 16)}`) - address;
      if (size !== 0n) return size > 0n ? { address, size: Number(size) } : null;
      at = start;
    }
  }

  /** The function of the kernel itself that begins at an address. */
  functionAt(address: bigint): string | null {
    const needle = `\n${address.toString(16).padStart(16, "0")} `;
    for (let at = this.#text.indexOf(needle); at >= 0; at = this.#text.indexOf(needle, at + 1)) {
      const line = this.#text.toString("latin1", at + 1, this.#text.indexOf(0x0a, at + 1));
      if (/^\w+ [tTwW] [^\t]+$/.test(line)) return line.slice(19);
    }
    return null;
  }

  /** The symbol at exactly this address of a module; null when there is none. */
  nameAt(address: bigint, modules: readonly string[]): string | null {
    for (const module of modules) {
      const symbol = this.#symbolsOf(module).find((candidate) => candidate.address === address);
      if (symbol) return symbol.name;
    }
    return null;
  }

  /** Bytes up to the next symbol of the same module. */
  roomAt(address: bigint, module: string): number {
    const next = this.#symbolsOf(module).find((candidate) => candidate.address > address);
    return next ? Number(next.address - address) : 0;
  }

  /** By rising address. */
  #symbolsOf(module: string): { address: bigint; name: string }[] {
    const known = this.#data.get(module);
    if (known) return known;
    const symbols: { address: bigint; name: string }[] = [];
    const needle = `\t[${module}]\n`;
    for (let at = this.#text.indexOf(needle); at >= 0; at = this.#text.indexOf(needle, at + 1)) {
      const start = this.#text.lastIndexOf(0x0a, at - 1) + 1;
      const line = this.#text.toString("latin1", start, at);
      symbols.push({ address: BigInt(`0x${line.slice(0, 16)}`), name: line.slice(19) });
    }
    symbols.sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
    this.#data.set(module, symbols);
    return symbols;
  }
}
