/** Arrows run one way (design): import -> decode -> lifecycle -> rules -> store/report -> tui, cli. */
export default {
  forbidden: [
    { name: "no-circular", severity: "error", from: {}, to: { circular: true } },
    {
      name: "importers-know-no-classes",
      comment: "An importer turns a format into TraceEvents; what they mean is decided later.",
      severity: "error",
      from: { path: "^analyzer/import/", pathNot: "\\.test\\.ts$|/testing/" },
      to: {
        path: "^(collectors|analyzer/(decode|lifecycle|rules|store|report|tui|cli))/",
        // The form of what a collector wrote is a format like others.
        pathNot: "^collectors/snapshot/model\\.ts$",
      },
    },
    {
      name: "rules-know-no-formats",
      comment: "A rule judges lifecycles; it must not care where an event was read.",
      severity: "error",
      from: { path: "^analyzer/rules/", pathNot: "\\.test\\.ts$" },
      to: { path: "^analyzer/(import|store|report|tui|cli)/", pathNot: "^analyzer/import/trace-event\\.ts$" },
    },
    {
      name: "lifecycle-is-pure",
      comment: "The core does no I/O and so cannot fail.",
      severity: "error",
      from: { path: "^analyzer/(decode|lifecycle)/", pathNot: "\\.test\\.ts$" },
      to: {
        path: "^(analyzer/(rules|store|report|tui|cli)/|node:fs|fs$|better-sqlite3)",
      },
    },
    {
      name: "views-read-the-store",
      comment: "Reports and screens draw what the store holds; they never compute from raw events.",
      severity: "error",
      from: { path: "^analyzer/(report|tui)/", pathNot: "\\.test\\.tsx?$" },
      to: { path: "^analyzer/(import|decode|lifecycle)/", pathNot: "^analyzer/import/trace-event\\.ts$" },
    },
    {
      name: "only-the-command-line-is-on-top",
      severity: "error",
      from: { pathNot: "^analyzer/(cli|bench)/|\\.test\\.tsx?$" },
      to: { path: "^analyzer/cli/" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default"] },
  },
};
