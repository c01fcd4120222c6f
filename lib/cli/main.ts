#!/usr/bin/env node
/** The command `kvm-dsm`, as a process. Its words are old ones: a Node.js that is too old has to come as far as to the sentence that says so. */
import * as nodeModule from 'node:module';

const OLDEST = 20;
const version = process.versions.node;
if (Number(version.split('.')[0]) < OLDEST) {
  process.stderr.write(
    `error: kvm-dsm needs Node.js 20.19 or a newer 20, or 22.12 or newer, and this is Node.js ${version}\n` +
      '  -> Install a newer one, from https://nodejs.org or by your distribution.\n',
  );
  process.exit(3);
}

// Since 22.8, Node.js keeps V8's code from one start to the next. Counters of coverage would be less exact with it.
const { enableCompileCache } = nodeModule as { enableCompileCache?: () => unknown };
if (process.env.NODE_V8_COVERAGE === undefined && enableCompileCache) enableCompileCache();
const { start } = await import('./start.ts');
await start();
