/** Kernels that look at themselves: each is built, boots, is quiet where nothing is wrong, and tells of a planted mistake with the check. */
import assert from 'node:assert/strict';
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
