/** The real program, as a user runs it: transpiled once per test file, started as a process of its own. */
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { packageRoot } from "../../collectors/package-root.js";

const ROOT = fileURLToPath(packageRoot());

/** A file of the fixtures. */
export function fixture(name: string): string {
  return join(ROOT, "fixtures", name);
}

/** Transpiles the sources (types are checked elsewhere): the path of the command, and how to remove it. */
export function buildProgram(): { main: string; remove: () => void } {
  // Below the package, so that its dependencies and its catalog are found.
  const target = join(ROOT, "dist", `.test-${process.pid}`);
  for (const folder of ["analyzer", "collectors"]) {
    for (const entry of readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !/\.tsx?$/.test(entry.name) || /\.test\.tsx?$/.test(entry.name)) continue;
      const source = join(entry.parentPath, entry.name);
      const output = join(target, relative(ROOT, source)).replace(/\.tsx?$/, ".js");
      const { outputText } = ts.transpileModule(readFileSync(source, "utf8"), {
        fileName: source,
        compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, jsx: ts.JsxEmit.ReactJSX },
      });
      mkdirSync(dirname(output), { recursive: true });
      writeFileSync(output, outputText);
    }
  }
  const remove = () => rmSync(target, { recursive: true, force: true });
  return { main: join(target, "analyzer", "cli", "main.js"), remove };
}

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Starts the command; `head`: bytes of standard output to read before closing it. */
export function start(
  main: string,
  args: readonly string[],
  options: { input?: string | Buffer; head?: number; env?: NodeJS.ProcessEnv } = {},
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...args], { env: { ...process.env, ...options.env } });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    let size = 0;
    child.stdout.on("data", (chunk: Buffer) => {
      out.push(chunk);
      size += chunk.length;
      if (options.head !== undefined && size >= options.head) child.stdout.destroy();
    });
    child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
    child.on("error", reject);
    child.on("close", (code) =>
      resolve({ code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }),
    );
    child.stdin.on("error", () => {});
    child.stdin.end(options.input ?? "");
  });
}
