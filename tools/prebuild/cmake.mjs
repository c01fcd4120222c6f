#!/usr/bin/env node
// What prebuildify runs to compile: cmake-js, as for a checkout, into the folder where prebuildify looks.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const cmakeJs = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js');
const given = JSON.parse(process.env.KVM_DSM_CMAKE ?? '[]');
const how = ['--parallel', String(availableParallelism()), '--log-level', 'error'];
const words = ['compile', '--directory', root, '--out', join(process.cwd(), 'build'), ...how, ...given];
const { status } = spawnSync(process.execPath, [cmakeJs, ...words], { cwd: root, stdio: 'inherit' });
process.exit(status ?? 1);
