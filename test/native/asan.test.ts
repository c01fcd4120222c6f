import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { sharedLibraries } from '../../lib/lab/disk/medium.ts';
import { noKvm } from '../support/host.ts';
import { labMissing } from '../support/lab.ts';
import { hostFiles, runTestsInside, teardownFiles } from '../support/tests-inside.ts';
import { testHarness } from './harness.ts';
import { root, run, runtime } from './sanitizer.ts';

// Here leaks are looked for as well: the program ends with nothing left.
testHarness('address,undefined', 'libasan.so');

const library = runtime('libasan.so');
const missing = library && runtime('libubsan.so') ? false : 'the compiler has no libasan.so or libubsan.so';
const work = mkdtempSync(join(tmpdir(), 'kvm-dsm-asan-'));
after(() => rmSync(work, { recursive: true, force: true }));

/** node itself ends with memory that it never gives back. */
const options = {
  ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1',
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
};
const environment: NodeJS.ProcessEnv = {
  ...options,
  // node-gyp-build looks here, under build/Debug.
  KVM_DSM_PREBUILD: work,
  LD_PRELOAD: library ?? '',
};
/** What they print; a skip may have their names. */
const complaint = /(?:ERROR|WARNING): \w+Sanitizer|Sanitizer:DEADLYSIGNAL|runtime error:/;

/** Not these: the first counts what the sanitizer itself changes, the other adds nothing but time. */
const leftOut = ['host/leak.test.ts', 'host/kick.test.ts'];
const files = [...hostFiles(), ...teardownFiles()].filter((file) => !leftOut.includes(file));

test('the addon builds with -fsanitize=address,undefined', { skip: missing }, () => {
  // The check of vptr takes an object for invalid where a process may open no more files: it looks at memory by a pipe.
  const flags =
    '-fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=undefined -fno-omit-frame-pointer';
  const cmakeJs = ['cmake-js', 'compile', '--debug', '--out', join(work, 'build'), '--log-level', 'error'];
  // cmake-js gives CMAKE_CXX_FLAGS a value of its own behind this one.
  const built = run('npx', [...cmakeJs, `--CDCMAKE_CXX_FLAGS_DEBUG=-g ${flags}`]);
  assert.ok(built.ok, built.output);
  const addon = readFileSync(join(work, 'build/Debug/kvm_dsm.node'), 'latin1');
  for (const symbol of ['__asan_report_load8', '__ubsan_handle_'])
    assert.ok(addon.includes(symbol), `the addon calls no ${symbol}: it was built without the sanitizer`);
});

test('it is that addon which is loaded, and the sanitizer with it', { skip: missing }, () => {
  const script = `
    import { EventFd } from './lib/index.ts';
    import { readFileSync } from 'node:fs';
    EventFd.create().close();
    console.log(readFileSync('/proc/self/maps', 'ascii'));`;
  const { ok, output } = run(
    'node',
    ['--import', 'tsx', '--test-reporter=tap', '--input-type=module', '-e', script],
    environment,
  );
  assert.ok(ok && output.includes(`${work}/build/Debug/kvm_dsm.node`) && output.includes('libasan'), output);
});

const inOneProcess = noKvm ? files.filter((file) => file.startsWith('host/')) : [];

// Without a KVM nearly all of these skip: a start under the sanitizer for each would take longer than what they do.
test('what the host tests do without a KVM under AddressSanitizer and UBSan', { skip: missing || !noKvm }, () => {
  const script = inOneProcess.map((file) => `await import(${JSON.stringify(join(root, 'test', file))});`).join('\n');
  const { ok, output } = run(
    'node',
    ['--import', 'tsx', '--test-reporter=tap', '--input-type=module', '-e', script],
    environment,
    900_000,
  );
  assert.ok(ok && !complaint.test(output), output);
  assert.match(output, /^# pass [1-9]/m);
});

for (const file of files) {
  if (file.startsWith('lab/') || inOneProcess.includes(file)) continue;
  test(`${file} under AddressSanitizer and UBSan`, { skip: missing }, () => {
    const { ok, output } = run('node', ['--import', 'tsx', '--test', `test/${file}`], environment, 900_000);
    assert.ok(ok && !complaint.test(output), output);
  });
}

function noLane(): string | false {
  if (missing) return missing;
  if (process.env.KVM_DSM_ASAN_LANE === '0') return 'KVM_DSM_ASAN_LANE is 0';
  return noKvm || process.env.KVM_DSM_ASAN_LANE ? labMissing() : 'this host has a KVM: it was there';
}

test('all of them in the svm lane under AddressSanitizer and UBSan', { skip: noLane() }, async (t) => {
  // The lab brings the addon that this process would load, and the libraries that it needs.
  process.env.KVM_DSM_PREBUILD = work;
  const preload = sharedLibraries([join(work, 'build/Debug/kvm_dsm.node')]).find((path) => /\/libasan\.so/.test(path));
  assert.ok(preload, 'the addon needs no libasan.so');
  const ran = await runTestsInside('svm', files, {
    counts: 0.001,
    timeoutSeconds: 2700,
    env: { ...options, LD_PRELOAD: preload, KVM_DSM_TEST_PATIENCE: '4' },
  });
  const failed = ran.tests.filter(({ error }) => error !== null);
  t.diagnostic(`${ran.tests.length} tests, ${ran.tests.filter(({ skip }) => skip).length} of them skipped`);
  assert.deepEqual(failed, []);
  assert.equal(ran.exitCode, 0, ran.stderr);
  assert.doesNotMatch(ran.stdout + ran.stderr, complaint);
  assert.deepEqual([...new Set(ran.tests.map(({ file }) => file))].sort(), [...files].sort());
});
