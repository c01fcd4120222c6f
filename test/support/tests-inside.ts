/** Tests that need a KVM, run inside the lab. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, type Plugin } from 'esbuild';
import type { InsideFile } from '../../lib/lab/disk/inside-file.ts';
import { sharedLibraries } from '../../lib/lab/disk/medium.ts';
import { type LaneName, packageInside, runInLab } from '../../lib/lab/index.ts';
import { Sink } from '../lab/boot.ts';
import { root } from './command.ts';

/** How one test ended inside. */
export interface InnerTest {
  /** Its path below test/. */
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
const place = '/run/tests';

/** Where the program lies that holds threads: see hold-thread.ts. */
const holdInside = `${place}/hold-thread`;

const filesOf = (name: string, end: string): string[] =>
  readdirSync(join(folder, name))
    .filter((file) => file.endsWith(end))
    .map((file) => `${name}/${file}`);

/** The tests of this machine's KVM, and those that need the series: paths below test/. */
export const hostFiles = (): string[] => [...filesOf('host', '.test.ts'), ...filesOf('lab/inside', '.test.ts')];

/** Those of the host's that are about the library and what all KVMs have in common, not about a vendor's; Bochs takes minutes for them. */
export const ofAnyVendor: readonly string[] = [
  'host/arguments.test.ts',
  'host/asm.test.ts',
  'host/broken.test.ts',
  'host/exactly-once.test.ts',
  'host/failure-report.test.ts',
  'host/guest-code.test.ts',
  'host/handled.test.ts',
  'host/handlers.test.ts',
  'host/leak.test.ts',
  'host/machine-log.test.ts',
  'host/machine-state.test.ts',
  'host/machine-threads.test.ts',
  'host/option-calls.test.ts',
  'host/schedule.test.ts',
  'host/snippets.test.ts',
  'host/surface-lifetimes.test.ts',
  'host/synic.test.ts',
  'host/unknown-options.test.ts',
];

/** How vCPUs and their process end. */
export const teardownFiles = (): string[] => filesOf('teardown', '.test.ts');

/** Those that take minutes by themselves where there is no KVM but in an emulator. */
export const longTeardown: readonly string[] = ['teardown/matrix.test.ts'];

/** What programs do not see of the package. */
export const internalFiles = (): string[] => filesOf('internal', '.test.ts');

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
  modules.map((module) => `await import('${module}');\n`).join('');

/** Programs import the package that the lab brings. */
const asProgramsDo: Plugin = {
  name: 'package-inside',
  setup({ onResolve }) {
    onResolve({ filter: /\/lib\/index\.ts$|^kvm-dsm$/ }, () => ({
      path: `${packageInside}/dist/index.js`,
      external: true,
    }));
    // Anything below it would be a second copy of the package beside the first.
    onResolve({ filter: /\/lib\/.*\.ts$/ }, ({ path, importer }) => ({
      errors: [
        { text: `${basename(importer)} imports ${path}: it has to use lib/index.ts alone, or be in test/internal` },
      ],
    }));
  },
};

/** Tests of the insides bring a copy of their own, which has its place where the lab's is. */
const withItsInsides: Plugin = {
  name: 'own-copy',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^kvm-dsm$/ }, () => ({ path: join(root, 'lib/index.ts') }));
    onLoad({ filter: /\/lib\/.*\.ts$/ }, ({ path }) => {
      const url = pathToFileURL(join(packageInside, 'dist', relative(join(root, 'lib'), path).replace(/ts$/, 'js')));
      const text = readFileSync(path, 'utf8');
      return { contents: text.replaceAll(/(?<!['`])import\.meta\.url(?!['`])/g, `'${url}'`), loader: 'ts' };
    });
  },
};

/** A module as node runs it inside. */
export interface Module {
  path: string;
  code: string;
  /** Its source map. */
  map: string;
}

/** The test files, and the programs that they start. With `insides` each module has the library's own in it. */
async function bundle(files: readonly string[], insides: boolean): Promise<Module[]> {
  const own = files.filter((file) => insides || file.startsWith('internal/'));
  const others = files.filter((file) => !own.includes(file));
  return [...(await modulesOf(others, asProgramsDo)), ...(await modulesOf(own, withItsInsides))];
}

async function modulesOf(files: readonly string[], plugin: Plugin): Promise<Module[]> {
  const children = [...new Set(files.map((file) => file.slice(0, file.lastIndexOf('/'))))].flatMap((name) =>
    filesOf(name, '-child.ts'),
  );
  if (files.length === 0) return [];
  const { outputFiles } = await build({
    entryPoints: [...files, ...children].map((file) => ({ in: join(folder, file), out: file.replace(/\.ts$/, '') })),
    outdir: place,
    outExtension: { '.js': '.mjs' },
    chunkNames: `${plugin.name}/[name]-[hash]`,
    bundle: true,
    splitting: true,
    write: false,
    sourcemap: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'silent',
    plugins: [plugin],
  });
  const maps = new Map(outputFiles.map(({ path, text }) => [path, text]));
  return outputFiles
    .filter(({ path }) => path.endsWith('.mjs'))
    .map(({ path, text }) => ({ path, code: text, map: maps.get(`${path}.map`)! }));
}

/** test/support/hold-thread.c as a program that needs no library; none if it cannot be built here. */
function holdThread(): InsideFile[] {
  const work = mkdtempSync(join(tmpdir(), 'kvm-dsm-hold-'));
  try {
    const built = spawnSync('cc', ['-O1', '-static', '-o', join(work, 'hold'), join(folder, 'support/hold-thread.c')]);
    if (built.error) return [];
    if (built.status !== 0) throw new Error(`cc: ${built.stderr}`);
    return [{ path: holdInside, data: readFileSync(join(work, 'hold')), executable: true }];
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** What limits.ts calls: this machine's prlimit, with the libraries that node does not bring; none if there is none. */
function prlimit(): InsideFile[] {
  const program = '/usr/bin/prlimit';
  if (!existsSync(program)) return [];
  const brought = sharedLibraries([process.execPath]);
  const libraries = sharedLibraries([program]).filter((path) => !brought.includes(path));
  return [
    { path: '/bin/mkfifo', data: '#!/bin/sh\nexec busybox mkfifo "$@"\n', executable: true },
    ...[program, ...libraries].map((path) => ({
      path: path === program ? '/bin/prlimit' : path,
      data: readFileSync(path),
      executable: true,
    })),
  ];
}

export interface InsideOptions {
  /** KVM_DSM_TEST_COUNTS inside. */
  counts: number;
  /** For all of them; the default is for a busy machine, the tests' own deadlines are shorter. */
  timeoutSeconds?: number;
  env?: Record<string, string>;
  /** For measuring coverage: every module has the library's own in it, and what these folders hold then is handed over. */
  collect?: { folders: readonly string[]; take(modules: readonly Module[], archive: Uint8Array): void };
}

/** Behind it comes the archive: base64 of a compressed tar. */
const archiveMark = '\n@archive ';

/** Runs the rest of the command line, and then writes what folders hold. */
const collector = (folders: readonly string[]): string =>
  `"$@"; code=$?; echo; echo -n "${archiveMark.trim()} "; busybox tar c ${folders.join(' ')} | busybox gzip | busybox base64 -w 0; echo; exit $code`;

/**
 * Boots a lane and runs test files in it.
 *
 * @param files of `hostFiles()`, `teardownFiles()`, `internalFiles()`
 */
export async function runTestsInside(
  lane: LaneName,
  files: readonly string[],
  { counts, timeoutSeconds = 1800, env = {}, collect }: InsideOptions,
): Promise<InnerRun> {
  const [stdout, stderr] = [new Sink(), new Sink()];
  const modules = await bundle(files, collect !== undefined);
  // Without these node dies now and then on svm: docs/lab.md.
  const tiers = ['--no-wasm-tier-up', '--no-wasm-dynamic-tiering'];
  const node = [
    '/bin/node',
    ...tiers,
    '--test-reporter',
    `${place}/reporter.mjs`,
    '--test-reporter-destination',
    'stdout',
  ];
  const programs = files.some((file) => file.startsWith('teardown/')) ? [...holdThread(), ...prlimit()] : [];
  const { exitCode } = await runInLab({
    lane,
    program: collect ? ['/bin/sh', '-c', collector(collect.folders), 'sh', ...node] : node,
    argv: [`${place}/all.mjs`],
    env: {
      KVM_DSM_TEST_COUNTS: String(counts),
      KVM_DSM_TEST_PACKAGE: `${packageInside}/dist/index.js`,
      KVM_DSM_TEST_HOLD: holdInside,
      ...env,
    },
    files: [
      ...modules.map(({ path, code }) => ({ path, data: code })),
      ...programs,
      { path: `${place}/reporter.mjs`, data: reporter },
      { path: `${place}/all.mjs`, data: program(files.map((file) => `./${file.replace(/\.ts$/, '.mjs')}`)) },
    ],
    stdout,
    stderr,
    timeoutSeconds,
  }).catch((error) => {
    throw new Error(`${error}\ninside, so far:\n${stdout.text.slice(-4000)}${stderr.text.slice(-4000)}`, {
      cause: error,
    });
  });
  const [text = '', archive] = stdout.text.split(archiveMark);
  if (archive !== undefined) collect?.take(modules, Buffer.from(archive, 'base64'));
  const lines = text
    .split('\n')
    .filter((line) => line.startsWith('@'))
    .map((line) => JSON.parse(line.slice(1)) as InnerTest & { diagnostic?: string });
  return {
    tests: lines
      .filter(({ diagnostic }) => diagnostic === undefined)
      .map((test) => ({ ...test, file: relative(place, test.file ?? '').replace(/\.mjs$/, '.ts') })),
    diagnostics: lines.flatMap(({ diagnostic }) => (diagnostic === undefined ? [] : [diagnostic])),
    exitCode,
    stdout: text,
    stderr: stderr.text,
  };
}
