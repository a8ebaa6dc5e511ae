#!/usr/bin/env node
/** The `ktally` command: options in, one call into the library, exit code out. */
import { run } from "./program.js";

process.exitCode = await run(process.argv.slice(2));
