/**
 * `npm run coverage`: lines and branches that the tests reach, of lib/ and of native/: unit and abi tests here, host and
 * internal tests in the svm lane. Prints each file below the limit and writes docs/coverage.md; ends with 1 if
 * one of them has no reason in reasons.ts, or a reason is not needed any more.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { transformSync } from 'esbuild';
import { root } from '../support/command.ts';
import { hostFiles, internalFiles, type Module, runTestsInside } from '../support/tests-inside.ts';
import { nativeCoverage } from './native.ts';
import { reasonFor, reasons } from './reasons.ts';

/** Lines of a file, in percent. */
const LIMIT = 80;

interface Figures {
  lines: number;
  branches: number | null;
}

const work = mkdtempSync(join(tmpdir(), 'kvm-dsm-coverage-'));
process.once('exit', () => rmSync(work, { recursive: true, force: true }));
const raw = join(work, 'v8');
const inside = join(work, 'inside');
mkdirSync(raw);

const run = (command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): void => {
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
  const { status } = spawnSync(command, args, { cwd: root, env: { ...inherited, ...env }, stdio: 'inherit' });
  if (status !== 0) throw new Error(`${command} ended with ${status}`);
};

/** The addon with counters. Their file names are absolute: inside, GCOV_PREFIX goes before them. */
function buildAddon(): void {
  const cmakeJs = ['cmake-js', 'compile', '--debug', '--out', join(work, 'build'), '--log-level', 'error'];
  // cmake-js gives CMAKE_CXX_FLAGS a value of its own behind this one.
  const flags = '-g -fprofile-arcs -ftest-coverage -fprofile-update=atomic';
  run('npx', [...cmakeJs, `--CDCMAKE_CXX_FLAGS_DEBUG=${flags}`]);
  process.env.KVM_DSM_PREBUILD = work;
}

const testsOf = (...folders: string[]): string[] =>
  folders.flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => join(folder, name)),
  );

function runHere(): void {
  const rooms = readdirSync(join(root, 'test/unit')).map((room) => `test/unit/${room}`);
  const files = testsOf(...rooms, 'test/abi');
  // A test that fails still has its lines.
  try {
    run('node', ['--import', 'tsx', '--test', '--test-reporter=dot', ...files], { NODE_V8_COVERAGE: raw });
  } catch (error) {
    console.log(String(error));
  }
}

/** Puts the modules where the report finds them, and makes the coverage of the lab speak of that place. */
function take(modules: readonly Module[], archive: Uint8Array): void {
  for (const { path, code, map } of modules) {
    const to = join(inside, path);
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, `${code}\n//# sourceMappingURL=data:application/json;base64,${withPaths(map, path)}\n`);
  }
  execFileSync('tar', ['xz', '-C', work], { input: archive });
  const urls = `"url":"${pathToFileURL('/run/tests').href}`;
  for (const name of readdirSync(join(work, 'tmp/v8'))) {
    const text = readFileSync(join(work, 'tmp/v8', name), 'utf8');
    writeFileSync(join(raw, `inside-${name}`), text.replaceAll(urls, `"url":"${pathToFileURL(inside).href}/run/tests`));
  }
  // The counters of the lab beside what the compiler has written about them.
  run('cp', ['-a', `${join(work, 'tmp/gcov', work)}/.`, work]);
}

/** A source map whose sources are absolute paths. */
function withPaths(map: string, path: string): string {
  const parsed = JSON.parse(map) as { sources: string[]; sourceRoot?: string };
  const sources = parsed.sources.map((source) => join(dirname(path), source));
  return Buffer.from(JSON.stringify({ ...parsed, sourceRoot: '', sources })).toString('base64');
}

async function runInside(): Promise<void> {
  const files = [...hostFiles(), ...internalFiles()];
  const { tests, exitCode } = await runTestsInside('svm', files, {
    counts: 0.001,
    timeoutSeconds: 1800,
    env: { NODE_V8_COVERAGE: '/tmp/v8', GCOV_PREFIX: '/tmp/gcov', KVM_DSM_TEST_PATIENCE: '4' },
    collect: { folders: ['/tmp/v8', '/tmp/gcov'], take },
  });
  const failed = tests.filter(({ error }) => error !== null);
  for (const { file, name, error } of failed) console.log(`${file}: ${name}\n${error}`);
  console.log(`svm: ${tests.length} tests, ${failed.length} failed, exit code ${exitCode}`);
}

function libraryCoverage(): Map<string, Figures> {
  const report = join(work, 'report');
  run('npx', [
    ...['c8', 'report', '--temp-directory', raw, '--reports-dir', report, '--reporter', 'json-summary'],
    ...['--allowExternal', '--exclude-after-remap', '--all', '--src', 'lib', '--extension', '.ts'],
    ...['--include', join(root, 'lib/**'), '--include', 'lib/**'],
  ]);
  type Summary = Record<string, { lines: { pct: number }; branches: { pct: number } }>;
  const summary = JSON.parse(readFileSync(join(report, 'coverage-summary.json'), 'utf8')) as Summary;
  return new Map(
    Object.entries(summary)
      .filter(([path]) => path === 'total' || path.startsWith(join(root, 'lib/')))
      .map(([path, { lines, branches }]) => [
        path === 'total' ? 'lib' : relative(root, path),
        { lines: lines.pct, branches: branches.pct },
      ]),
  );
}

/** A file that declares types has no line that could run. */
const isTypesAlone = (path: string): boolean =>
  path.endsWith('.ts') &&
  transformSync(readFileSync(join(root, path), 'utf8'), { loader: 'ts', minify: true }).code.trim() === '';

buildAddon();
runHere();
await runInside();
const measured = new Map<string, Figures>([...libraryCoverage(), ...nativeCoverage(join(work, 'build'))]);
const all = new Map([...measured].filter(([path]) => !isTypesAlone(path)));
const below = [...all].filter(([path, { lines }]) => path.includes('.') && lines < LIMIT).sort();
const figures = ({ lines, branches }: Figures) =>
  `${lines.toFixed(1)} %${branches === null ? '' : `, branches ${branches.toFixed(1)} %`}`;
const rows = below.map(
  ([path, its]) => `| \`${path}\` | ${figures(its)} | ${reasonFor(path) ?? '**no reason given**'} |`,
);
const text = `# Coverage

\`npm run coverage\` writes this page. It runs \`test/unit\` and \`test/abi\` here, \`test/host\` and \`test/internal\` in the svm lane, all with V8's
counters and with an addon that counts for gcov. What other tests run is not counted: \`test/cli\`, \`test/lab\`, \`test/package\` and \`test/fuzz\` start the built command, in processes of its own.

| | lines |
|---|---|
| \`lib\` | ${figures(all.get('lib')!)} |
| \`native\` | ${figures(all.get('native')!)} |

## Files below ${LIMIT} % of their lines, and why

| file | lines | why |
|---|---|---|
${rows.join('\n')}
`;
writeFileSync(join(root, 'docs/coverage.md'), text);
console.log(text);
const unused = reasons.filter(({ files }) => !below.some(([path]) => files.test(path)));
for (const { why } of unused) console.log(`no file needs this reason any more: ${why}`);
process.exitCode = rows.some((row) => row.includes('**no reason')) || unused.length > 0 ? 1 : 0;
