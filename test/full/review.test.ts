/** `kvm-dsm review` end to end: the mails of RFC v2, and the corrected series. A kernel is built; see docs/review.md. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';

const seconds = 7200;
const lane = process.env.KVM_DSM_FULL_LANE;
const on = lane === undefined ? [] : ['--on', lane];

interface Told {
  verdict: string;
  profile: string;
  findings: { id: string; log: string[] }[];
  checklist: { id: string; verdict: string; seen: string[] }[];
  parent: { runs: { facts: { forwards: boolean }; totals: { fail: number; xfail: number } }[] };
  child: { runs: { facts: { forwards: boolean }; totals: { fail: number; xfail: number } }[] };
}

function reviewed(series: string): Told {
  const { stdout, stderr } = kvmDsm(['review', series, '--json', ...on], seconds);
  assert.ok(stdout.startsWith('{'), stderr);
  return JSON.parse(stdout) as Told;
}

describe('kvm-dsm review', { skip: labMissing(), timeout: 3 * seconds * 1000 }, () => {
  test('the mails of RFC v2: it forwards, and what it lacks is found', () => {
    const told = reviewed('kernel/mails/rfc-v2.mbox');
    assert.deepEqual([told.verdict, told.profile], ['findings', 'rfc-v2']);
    for (const { facts, totals } of told.child.runs) assert.deepEqual([facts.forwards, totals.fail], [true, 0]);
    for (const { facts, totals } of told.parent.runs) assert.deepEqual([facts.forwards, totals.fail], [false, 0]);
    const found = new Set(told.findings.map(({ id }) => id));
    const checks = ['once.both.pushad', 'bypass.x2apic.forwarded', 'state.pending.restored', 'injection.crash.no-vcpu'];
    const rules = ['checklist 3', 'checklist 4', 'checklist 5', 'checklist 8', 'checklist 10'];
    for (const id of [
      ...checks,
      ...rules,
      'uapi.config',
      'uapi.types',
      'uapi.headers',
      'uapi.numbers',
      'test.selftest',
    ])
      assert.ok(found.has(id), `${id} of ${[...found].join(', ')}`);
    const layouts = told.checklist.find(({ id }) => id === '10')!.seen.join('\n');
    assert.match(layouts, /kvm_run\.x2apic\.data: 40 for 64 bits, 36 for 32/);
  });

  test('the corrected series: by its own profile, and no check fails', () => {
    const told = reviewed('kernel/fixed');
    assert.equal(told.profile, 'fixed-v1');
    for (const { totals } of told.child.runs) assert.deepEqual([totals.fail, totals.xfail], [0, 0]);
    const broken = told.checklist.filter(({ verdict }) => verdict === 'broken').map(({ id }) => id);
    assert.deepEqual(broken, []);
  });
});
