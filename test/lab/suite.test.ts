/** The suite in the lab: what a check does to the kernel costs that check alone. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';
import { reasonOf, runChecks, type SuiteDocument, verdictsOf } from '../support/suite.ts';

describe('kvm-dsm test in the lab', { skip: labMissing(), concurrency: 2, timeout: 600_000 }, () => {
  test('a crashed process, an oops and a panic fail by name, and the rest runs', () => {
    const { code, document } = runChecks(['kernel', 'rough.aborts', 'plain.passes', '--on', 'svm'], 500);
    assert.equal(code, 1);
    assert.deepEqual(verdictsOf(document), {
      'plain.passes': 'pass',
      'rough.aborts': 'fail',
      'kernel.first': 'pass',
      'kernel.oopses': 'fail',
      'kernel.behind-oops': 'pass',
      'kernel.panics': 'fail',
      'kernel.last': 'pass',
    });
    assert.match(reasonOf(document, 'rough.aborts'), /its process ended: signal SIGABRT/);
    assert.match(reasonOf(document, 'kernel.oopses'), /^the kernel says: kernel BUG at arch\/x86\/kvm\/x86\.c:\d+!/);
    assert.match(reasonOf(document, 'kernel.panics'), /panicked: sysrq triggered crash/);
    assert.equal(document.on, 'svm');
    const again = document.notes.filter((note) => note.includes('the svm machine is booted again'));
    assert.equal(again.length, 2, document.notes.join('\n'));
  });

  test('what a check says in the name of the frame is text', () => {
    const { code, document } = runChecks(['--on', 'svm'], 300, 'test/lab/scripts/forging-check.ts');
    assert.deepEqual(verdictsOf(document), { 'forging.lines': 'pass', 'forging.secrets': 'pass' });
    assert.equal(code, 0);
  });

  test('--bail inside', () => {
    const { document } = runChecks(['plain.passes', 'plain.fails', 'plain.effect', '--on', 'svm', '--bail'], 300);
    assert.deepEqual(Object.values(verdictsOf(document)), ['pass', 'fail', 'skip']);
  });

  test('a report has a row for each variant that is named, by what its kernel was told', () => {
    const names = ['default', 'no-vector-hashing'].flatMap((name) => ['--variant', name]);
    const { code, stdout, stderr } = kvmDsm(['test', 'once.nodes.*.flat', '--on', 'svm', '--json', ...names], 300);
    assert.notEqual(stdout, '', stderr);
    const { variants, totals } = JSON.parse(stdout) as { variants: SuiteDocument[]; totals: unknown };
    const checks = variants.map(verdictsOf);
    const [hashed, byPriority] = ['once.nodes.hashed.flat', 'once.nodes.by-priority.flat'] as const;
    assert.deepEqual(checks, [
      { [hashed]: 'pass', [byPriority]: 'skip' },
      { [hashed]: 'skip', [byPriority]: 'xfail' },
    ]);
    assert.deepEqual(totals, { pass: 1, fail: 0, skip: 2, xfail: 1, xpass: 0 });
    assert.equal(code, 0);
  });
});
