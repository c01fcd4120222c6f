// One room of lib and its own unit tests. Settings: https://stryker-mutator.io/docs/stryker-js/configuration/
import { homedir } from 'node:os';
import { join } from 'node:path';

const room = process.env.KVM_DSM_ROOM ?? 'apic';
const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'kvm-dsm-mutation', room);
// A test file is a process of its own for each mistake: half a second less where Node.js reads TypeScript by itself.
const typescript = process.features.typescript ? [] : ['--import', 'tsx'];

/** @type {import('@stryker-mutator/api/core').PartialStrykerOptions} */
export default {
  testRunner: 'tap',
  tap: {
    testFiles: [`test/unit/${room}/*.test.ts`],
    nodeArgs: ['--test-reporter=tap', ...typescript, '-r', '{{hookFile}}', '{{testFile}}'],
  },
  mutate: [`lib/${room}/**/*.ts`],
  coverageAnalysis: 'perTest',
  reporters: ['clear-text', 'json', 'progress-append-only'],
  jsonReporter: { fileName: join(folder, 'report.json') },
  tempDirName: join(folder, 'work'),
  // It would rewrite the paths of a tsconfig, for which it wants a TypeScript that has an API.
  tsconfigFile: 'none',
  ignorePatterns: [
    'dist',
    'build',
    'native',
    'packages',
    'docs',
    'examples',
    'kernel',
    'prebuilds',
    'test/lab',
    'test/host',
  ],
  timeoutMS: 20_000,
};
