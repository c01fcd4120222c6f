/** The tests of test/host and test/lab/inside, run inside the lab. */
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { build } from 'esbuild';
import { type LaneName, packageInside, runInLab } from '../../lib/lab/index.ts';
import { Sink } from '../lab/boot.ts';
import { root } from './command.ts';

/** How one test ended inside. */
export interface InnerTest {
  file: string;
  name: string;
  ms: number;
  /** The reason of a skip, `false` if it ran. */
  skip: string | false;
  /** What failed. */
  error: string | null;
}

export interface InnerRun {
  tests: InnerTest[];
  exitCode: number;
  /** What the tests said beside their results. */
  diagnostics: string[];
  stdout: string;
  stderr: string;
}

const folder = join(root, 'test');

/** Where the tests lie inside. */
const place = '/run/host';

const filesOf = (name: string): string[] =>
  readdirSync(join(folder, name))
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => `${name}/${file}`);

/** The tests of this machine's KVM, and those that need the series: paths below test/. */
export const testFiles = (): string[] => [...filesOf('host'), ...filesOf('lab/inside')];

/** Each test that ended as one JSON line. */
const reporter = `export default async function* (events) {
  const line = (fields) => '\\n@' + JSON.stringify(fields) + '\\n';
  for await (const { type, data } of events) {
    if (type === 'test:diagnostic') yield line({ diagnostic: data.message });
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const { name, nesting, file, skip, details } = data;
    if (nesting > 0) continue;
    const cause = details.error?.cause ?? details.error;
    const error = type === 'test:fail' ? String(cause?.stack ?? cause) : null;
    yield line({ file, name, ms: details.duration_ms, skip: skip === undefined ? false : String(skip), error });
  }
}
`;

/** One file after the other, in one process: starting node takes seconds in an emulator. */
const program = (modules: readonly string[]): string =>
  modules.map((module) => `await import('./${module}');\n`).join('');

/** The test files as modules that node runs inside; the package is the one that the lab brings. */
async function bundle(files: readonly string[]): Promise<{ path: string; data: Uint8Array | string }[]> {
  const { outputFiles } = await build({
    entryPoints: files.map((file) => ({ in: join(folder, file), out: basename(file, '.ts') })),
    outdir: place,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'silent',
    plugins: [
      {
        name: 'package-inside',
        setup({ onResolve }) {
          onResolve({ filter: /\/lib\/index\.ts$|^kvm-dsm$/ }, () => ({
            path: `${packageInside}/dist/index.js`,
            external: true,
          }));
          // Anything below it would be a second copy of the package beside the first.
          onResolve({ filter: /\/lib\/.*\.ts$/ }, ({ path, importer }) => ({
            errors: [{ text: `${basename(importer)} imports ${path}: a host test uses lib/index.ts alone` }],
          }));
        },
      },
    ],
  });
  return outputFiles.map(({ path, contents }) => ({ path, data: contents }));
}

/**
 * Boots a lane and runs test files in it.
 *
 * @param files of `testFiles()`
 * @param counts KVM_DSM_TEST_COUNTS inside
 * @param timeoutSeconds for all of them; the default is for a busy machine, the tests' own deadlines are shorter
 */
export async function runTestsInside(
  lane: LaneName,
  files: readonly string[],
  counts: number,
  timeoutSeconds = 900,
): Promise<InnerRun> {
  const [stdout, stderr] = [new Sink(), new Sink()];
  const modules = await bundle(files);
  const { exitCode } = await runInLab({
    lane,
    program: ['/bin/node', '--test-reporter', `${place}/reporter.mjs`, '--test-reporter-destination', 'stdout'],
    argv: [`${place}/all.mjs`],
    env: { KVM_DSM_TEST_COUNTS: String(counts), KVM_DSM_TEST_PACKAGE: `${packageInside}/dist/index.js` },
    files: [
      ...modules,
      { path: `${place}/reporter.mjs`, data: reporter },
      { path: `${place}/all.mjs`, data: program(modules.map(({ path }) => basename(path))) },
    ],
    stdout,
    stderr,
    timeoutSeconds,
  }).catch((error) => {
    throw new Error(`${error}\ninside, so far:\n${stdout.text.slice(-4000)}${stderr.text.slice(-4000)}`, {
      cause: error,
    });
  });
  const lines = stdout.text
    .split('\n')
    .filter((line) => line.startsWith('@'))
    .map((line) => JSON.parse(line.slice(1)) as InnerTest & { diagnostic?: string });
  return {
    tests: lines
      .filter(({ diagnostic }) => diagnostic === undefined)
      .map((test) => ({ ...test, file: basename(test.file ?? '').replace(/\.mjs$/, '.ts') })),
    diagnostics: lines.flatMap(({ diagnostic }) => (diagnostic === undefined ? [] : [diagnostic])),
    exitCode,
    stdout: stdout.text,
    stderr: stderr.text,
  };
}
