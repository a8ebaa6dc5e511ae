import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { adviceFor } from "./advice.js";

it("every reason that coverage knows has its advice", () => {
  const source = readFileSync(new URL("../../lifecycle/reason.ts", import.meta.url), "utf8");
  const [list = ""] = /export type ReasonCode =[^;]*;/.exec(source) ?? [];
  const codes = [...list.matchAll(/"([a-z-]+)"/g)].map(([, code]) => code ?? "");
  expect(codes.length).toBeGreaterThan(10);
  expect(codes.filter((code) => adviceFor(code) === null)).toEqual([]);
});
