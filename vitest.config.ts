import { defineConfig } from "vitest/config";

// Two projects: `unit` passes in any clone; `corpus` reads ../shared, which only the project's own machines have.
// .ci/run counts the tests from a report.
const results = process.env.KTALLY_TEST_RESULTS;

export default defineConfig({
  test: {
    testTimeout: 60_000,
    reporters: results ? ["default", ["json", { outputFile: results }]] : ["default"],
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["{analyzer,collectors,fixtures}/**/*.test.{ts,tsx}"],
          exclude: ["**/*.corpus.test.ts", "**/node_modules/**"],
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
