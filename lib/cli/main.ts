#!/usr/bin/env node
/** The command `kvm-dsm`, as a process. */
import * as nodeModule from 'node:module';

// Since 22.8, Node.js keeps V8's code from one start to the next. Counters of coverage would be less exact with it.
const { enableCompileCache } = nodeModule as { enableCompileCache?: () => unknown };
if (process.env.NODE_V8_COVERAGE === undefined) enableCompileCache?.();
const { start } = await import('./start.ts');
await start();
