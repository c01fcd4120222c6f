import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { KVM_DEVICE } from '../../lib/index.ts';
import { noKvm } from '../support/host.ts';
import { root, run, runtime } from './sanitizer.ts';

/** Builds harness.cc with native/core, which is the addon without N-API, under a sanitizer, and runs it. */
export function testHarness(sanitizer: string, library: string): void {
  const missing = runtime(library) ? false : `the compiler has no ${library}`;
  const work = mkdtempSync(join(tmpdir(), 'kvm-dsm-harness-'));
  after(() => rmSync(work, { recursive: true, force: true }));
  const program = join(work, 'harness');

  test(`native/core builds with -fsanitize=${sanitizer}`, { skip: missing }, () => {
    const flags = ['-std=c++17', '-Wall', '-Wextra', '-Werror', '-g', '-O1', `-fsanitize=${sanitizer}`];
    const core = readdirSync(join(root, 'native/core')).filter((name) => name.endsWith('.cc'));
    const sources = ['test/native/harness.cc', ...core.map((name) => `native/core/${name}`)];
    const built = run('c++', [
      ...flags,
      '-fno-sanitize-recover=all',
      ...sources,
      '-o',
      program,
      '-pthread',
      '-ldl',
      '-lrt',
    ]);
    assert.ok(built.ok, built.output);
  });

  for (const [what, args, skip] of [
    ['the ring, between two threads', ['ring'], missing],
    ['a thread that records while others write kvm_run', ['writes'], missing],
    ['threads that wait for eventfds, cancel and close them', ['waits'], missing],
    ['threads whose news are taken', ['news'], missing],
    ['threads whose exits go into one log', ['log'], missing],
    ['deadlines of several threads', ['deadlines'], missing],
    ['threads with an imitation of KVM_RUN', ['fake'], missing],
    ['threads on the real KVM', ['kvm', KVM_DEVICE], missing || noKvm],
  ] as const) {
    test(`${what}, under -fsanitize=${sanitizer}`, { skip }, () => {
      const { ok, output } = run(program, [...args]);
      assert.ok(ok && /\nok\n/.test(output), output);
    });
  }
}
