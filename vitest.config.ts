import { defineConfig } from "vitest/config";

// Four projects: `unit` passes in any clone; `terminal` needs tmux; `browser` needs chromium; `corpus` reads ../shared, which only the project's
// own machines have.
// .ci/run counts the tests from a report.
const results = process.env.KTALLY_TEST_RESULTS;

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: results ? ["default", ["json", { outputFile: results }]] : ["default"],
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["{analyzer,collectors,fixtures}/**/*.test.{ts,tsx}"],
          exclude: ["**/*.corpus.test.ts", "**/*.browser.test.ts", "**/*.terminal.test.ts", "**/node_modules/**"],
        },
      },
      {
        extends: true,
        test: {
          name: "terminal",
          include: ["analyzer/tui/**/*.terminal.test.ts"],
          // A test waits for what it expects on a screen; how long that takes is up to the machine.
          testTimeout: 600_000,
          hookTimeout: 300_000,
        },
      },
      {
        extends: true,
        test: {
          name: "browser",
          include: ["analyzer/report/*.browser.test.ts"],
        },
      },
      {
        extends: true,
        test: {
          name: "corpus",
          include: ["{analyzer,collectors,fixtures}/**/*.corpus.test.ts"],
        },
      },
    ],
  },
});
