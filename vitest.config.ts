import { defineConfig } from "vitest/config";

// Two projects: `unit` passes in any clone; `corpus` reads ../shared, which only the project's own machines have.
export default defineConfig({
  test: {
    testTimeout: 60_000,
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
