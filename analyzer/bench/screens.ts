/** How fast the terminal UI answers: first paint of a process, and keys on every screen, in a real pseudo-terminal. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const CLI = fileURLToPath(new URL("../cli/main.js", import.meta.url));
/** What a terminal is asked before the first picture (DA1), and what one answers that says nothing else. */
const QUESTION = "\u001b[c";
const ANSWER = "\u001b[?62c";
/** Nothing more comes of a key after so long without output; milliseconds. */
const QUIET = 400;

export interface Answer {
  what: string;
  milliseconds: number;
}

/** Keys and what they do, on a database. */
const KEYS: readonly (readonly [what: string, keys: string])[] = [
  ["next finding", "j"],
  ["objects", "2"],
  ["last object", "G"],
  ["page up", "\u001b[5~"],
  ["closer", "+"],
  ["open object", "\r"],
  ["last event", "G"],
  ["balance of all", "3"],
  ["registrations", "4"],
  ["last registration", "G"],
  ["coverage", "5"],
  ["search", "6/kvm_put_kvm\r"],
  ["its events", "\r"],
  ["last event of a probe", "G"],
];

/** @returns null where there is no `script` (util-linux) to make a terminal with. */
export async function measureScreens(db: string): Promise<Answer[] | null> {
  const begin = performance.now();
  const terminal = spawn(
    "script",
    ["-qfec", `stty cols 200 rows 60; exec ${process.execPath} ${CLI} tui ${db}`, "/dev/null"],
    {
      env: { ...process.env, TERM: "xterm-256color" },
    },
  );
  terminal.stdout.on("data", (chunk: Buffer) => {
    if (chunk.includes(QUESTION)) terminal.stdin.write(ANSWER);
  });
  const failed = new Promise<null>((resolve) => terminal.on("error", () => resolve(null)));
  const first = await Promise.race([answerOf(terminal, begin, (output) => output.includes("Story")), failed]);
  if (first === null) return null;
  const answers: Answer[] = [{ what: "first paint, from the start of the process", milliseconds: first }];
  for (const [what, keys] of KEYS) {
    await new Promise((resolve) => setTimeout(resolve, QUIET));
    const pressed = performance.now();
    terminal.stdin.write(keys);
    answers.push({ what, milliseconds: await answerOf(terminal, pressed, () => true) });
  }
  terminal.stdin.write("q");
  await new Promise((resolve) => terminal.on("close", resolve));
  return answers;
}

/** How long it takes until output that is enough has come; milliseconds. */
function answerOf(
  terminal: ChildProcessWithoutNullStreams,
  since: number,
  isEnough: (output: string) => boolean,
): Promise<number> {
  return new Promise((resolve) => {
    let output = "";
    const take = (chunk: Buffer) => {
      output += chunk.toString("latin1");
      if (!isEnough(output)) return;
      terminal.stdout.removeListener("data", take);
      resolve(performance.now() - since);
    };
    terminal.stdout.on("data", take);
  });
}
