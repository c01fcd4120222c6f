/** Kernels that look at themselves: each is built, boots, is quiet where nothing is wrong, and tells of a planted mistake with the check. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Flavour } from '../../lib/lab/index.ts';
import { kvmDsm } from '../support/command.ts';
import { compilerMissing, labMissing } from '../support/lab.ts';
import type { SuiteDocument } from '../support/suite.ts';

const planted: Record<Exclude<Flavour, 'gcov'>, { mistake: string; told: RegExp }> = {
  kasan: { mistake: 'memory', told: /KASAN: slab-use-after-free in use_freed_memory/ },
  kcsan: { mistake: 'race', told: /KCSAN: data-race in count/ },
  lockdep: { mistake: 'locks', told: /possible circular locking dependency detected/ },
};

const check = 'payload.icr.vector';

test('gcov: `test --coverage` builds it, and tells what a check has reached', {
  skip: labMissing() || compilerMissing(),
  timeout: 4_000_000,
}, () => {
  const folder = mkdtempSync(join(tmpdir(), 'kvm-dsm-coverage-'));
  try {
    const { code, stdout, stderr } = kvmDsm(['test', check, '--on', 'svm', '--coverage', folder], 3600);
    assert.equal(code, 0, stderr);
    const [, reached, of] = /lapic\.c +(\d+) of +(\d+) /.exec(stdout)!.map(Number);
    assert.ok(reached! > 200 && reached! < of! && of! > 1000, stdout);
    const [, hooks] = /rfc-v2\/hooks-6\.12\.patch +(\d+) of /.exec(stdout)!.map(Number);
    assert.ok(hooks! >= 2, stdout);
    const unreached = readFileSync(join(folder, 'unreached.txt'), 'utf8');
    assert.match(unreached, /apic_timer_fn: .*, all of it/, 'no timer was started');
    assert.doesNotMatch(unreached, /kvm_apic_send_ipi: .*, all of it/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

describe('flavours', { skip: labMissing() || compilerMissing(), timeout: 10_000_000 }, () => {
  for (const flavour of Object.keys(planted) as (keyof typeof planted)[])
    test(flavour, () => {
      const { code, stdout, stderr } = kvmDsm(['lab', 'build', '--flavour', flavour], 3000);
      assert.equal(code, 0, stderr);
      const ask = (...more: string[]) => {
        const run = kvmDsm(['test', check, '--on', 'svm', '--kernel', stdout.trim(), '--json', ...more], 600);
        assert.notEqual(run.stdout, '', run.stderr);
        const document = JSON.parse(run.stdout) as SuiteDocument;
        return { code: run.code, checks: document.checks };
      };
      const quiet = ask();
      assert.deepEqual([quiet.code, ...quiet.checks.map(({ reason }) => reason)], [0, null]);
      const loud = ask('--cmdline', `kvm.dsm_planted=${planted[flavour].mistake}`);
      assert.equal(loud.code, 1);
      assert.deepEqual(
        loud.checks.map(({ id, verdict }) => [id, verdict]),
        [[check, 'fail']],
      );
      assert.match(loud.checks[0]!.reason!, planted[flavour].told);
    });
});
