#!/usr/bin/env node
// prebuildify runs its --node-gyp program to compile; this one hands the work to cmake-js, so that a
// prebuild and a checkout are built in the same way. cmake-js leaves the addon where prebuildify looks.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';

const cmakeJs = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js');
const { status } = spawnSync(process.execPath, [cmakeJs, 'rebuild'], { stdio: 'inherit' });
process.exit(status ?? 1);
