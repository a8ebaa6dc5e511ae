/**
 * Part of the build: the terminal UI and what it needs of ink and React in one file, so that it is there at once. It
 * takes the place of what the compiler made of tui.ts; the rest of ktally is imported as it is.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { type Plugin, rolldown } from "rolldown";
import { packageRoot } from "../../collectors/package-root.js";

const TUI = join(fileURLToPath(packageRoot()), "analyzer", "tui");

/** See in-ink/README.md. */
const IN_INK: Readonly<Record<string, string>> = {
  "string-width": "string-width.ts",
  "./measure-text.js": "measure-text.ts",
  "./output.js": "output.ts",
};
/** ink's door to a debugger, which it opens when DEV=true. */
const DEVELOPMENT = "./devtools.js";
const NOTHING = "\0nothing";

/**
 * Bundles an entry of the terminal UI.
 * @param target folder of the compiled terminal UI, beside the rest of ktally.
 */
export async function bundleTui(target: string, entry = "tui.ts"): Promise<void> {
  const bundle = await rolldown({
    input: join(TUI, entry),
    platform: "node",
    transform: {
      define: {
        "process.env.NODE_ENV": '"production"',
        "process.env.DEV": '"false"',
        // The layout asks whether there is one, which makes Node load all of its HTTP client.
        fetch: "undefined",
      },
      jsx: { runtime: "automatic", development: false },
    },
    plugins: [inInk, ourOwn],
  });
  const file = join(target, basename(entry).replace(/\.tsx?$/, ".js"));
  const { output } = await bundle.write({ file, format: "esm", minify: true, codeSplitting: false });
  await bundle.close();
  const [chunk] = output;
  // The compiler's own is of another text.
  rmSync(`${file}.map`, { force: true });
  writeFileSync(`${file}.licenses.txt`, licenses(chunk.moduleIds));
}

const inInk: Plugin = {
  name: "in-ink",
  resolveId(id, importer) {
    if (id === DEVELOPMENT) return NOTHING;
    const ours = IN_INK[id];
    return ours !== undefined && importer?.includes("node_modules") ? join(TUI, "in-ink", ours) : null;
  },
  load: (id) => (id === NOTHING ? "" : null),
};

/** The rest of ktally stays where it is. */
const ourOwn: Plugin = {
  name: "our-own",
  resolveId(id, importer) {
    if (!id.startsWith(".") || importer === undefined || !importer.startsWith(TUI)) return null;
    const path = join(dirname(importer), id);
    return path.startsWith(TUI) ? null : { id: relative(TUI, path).split(sep).join("/"), external: true };
  },
};

/** What the licences ask for: the notices of all that is in the bundle. */
function licenses(modules: readonly string[]): string {
  const packages = new Map<string, string>();
  for (const id of modules) {
    const [, folder, name] = /^(.*\/node_modules\/((?:@[^/]+\/)?[^/]+))\//.exec(id) ?? [];
    if (folder !== undefined && name !== undefined && existsSync(folder)) packages.set(folder, name);
  }
  const notices = [...packages].sort().map(([folder, name]) => {
    const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Record<string, string>;
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    const notice =
      file === undefined ? `${manifest.author}, ${manifest.homepage}\n` : readFileSync(join(folder, file), "utf8");
    return `${name} ${manifest.version} (${manifest.license})\n\n${notice}`;
  });
  return notices.join(`\n${"-".repeat(80)}\n`);
}
