import { Command } from "commander";
import { importers } from "../import/registry.js";
import { writeResult } from "./output.js";

export function formatsCommand(_state: { exit: number }): Command {
  return new Command("formats").description("list the trace formats that can be read").action(async () => {
    const width = Math.max(...importers.map(({ name }) => name.length));
    const names = importers.map(({ name, about }) => `${name.padEnd(width)}  ${about}\n`);
    await writeResult(`${names.join("")}\nAll are known by content, plain or packed with gzip, xz or zstd.\n`, null);
  });
}
