import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { noKvm } from '../support/host.ts';
import { testHarness } from './harness.ts';
import { root, run, runtime } from './sanitizer.ts';

// Here leaks are looked for as well: the program ends with nothing left.
testHarness('address,undefined', 'libasan.so');

const library = runtime('libasan.so');
const missing = library && runtime('libubsan.so') ? noKvm : 'the compiler has no libasan.so or libubsan.so';
const work = mkdtempSync(join(tmpdir(), 'kvm-dsm-asan-'));
after(() => rmSync(work, { recursive: true, force: true }));

const environment: NodeJS.ProcessEnv = {
  // node-gyp-build looks here, under build/Debug.
  KVM_DSM_PREBUILD: work,
  LD_PRELOAD: library ?? '',
  // node itself ends with memory that it never gives back.
  ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1',
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
};

/** Not these: the first counts what the sanitizer itself changes, the other adds nothing but time. */
const leftOut = ['leak.test.ts', 'kick.test.ts'];
const files = ['test/host', 'test/teardown'].flatMap((folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.test.ts') && !leftOut.includes(name))
    .map((name) => `${folder}/${name}`),
);

test('the addon builds with -fsanitize=address,undefined', { skip: missing }, () => {
  const flags = '-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer';
  const cmakeJs = ['cmake-js', 'compile', '--debug', '--out', join(work, 'build'), '--log-level', 'error'];
  const built = run('npx', [...cmakeJs, `--CDCMAKE_CXX_FLAGS=${flags}`]);
  assert.ok(built.ok, built.output);
});

test('it is that addon which is loaded, and the sanitizer with it', { skip: missing }, () => {
  const script = `
    import { Kvm } from './lib/index.ts';
    import { readFileSync } from 'node:fs';
    Kvm.open().close();
    console.log(readFileSync('/proc/self/maps', 'ascii'));`;
  const { ok, output } = run('node', ['--import', 'tsx', '--input-type=module', '-e', script], environment);
  assert.ok(ok && output.includes(`${work}/build/Debug/kvm_dsm.node`) && output.includes('libasan'), output);
});

for (const file of files) {
  test(`${file} under AddressSanitizer and UBSan`, { skip: missing }, () => {
    const { ok, output } = run('node', ['--import', 'tsx', '--test', file], environment);
    assert.ok(ok && !/Sanitizer|runtime error:/.test(output), output);
  });
}
