/** A kernel that knows the injection ioctls, and refuses what it is asked for by way of a question. */
import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { profileByName } from '../../lib/abi/dsm/profiles.ts';
import { answering, noAnswers } from '../support/answer-ioctls.ts';
import { kvmDsm } from '../support/command.ts';
import { noStockKvm } from '../support/host.ts';
import type { SuiteDocument } from '../support/suite.ts';

const skip = noAnswers || noStockKvm;
const { KVM_DSM_IPI, KVM_DSM_X2APIC, KVM_DSM_APIC_BASE } = profileByName('rfc-v2').ioctls;
const all = [KVM_DSM_IPI, KVM_DSM_X2APIC, KVM_DSM_APIC_BASE].map(({ request }) => request);

function allOrNone(wrapper: string[]) {
  const args = ['test', 'capability.injection.all-or-none', '--on', 'host', '--json'];
  const { code, stdout, stderr } = kvmDsm(args, 120, wrapper);
  assert.notEqual(stdout, '', stderr);
  const document = JSON.parse(stdout) as SuiteDocument;
  return { code, head: document.head, check: document.checks[0]! };
}

for (const errno of ['EINVAL', 'EPERM', 'ENXIO', 'EFAULT', 'EOPNOTSUPP'] as const)
  test(`it answers ${errno} to all three: they are known`, { skip }, () => {
    const { code, check } = allOrNone(answering(constants.errno[errno], all));
    assert.deepEqual([code, check.verdict, check.reason], [0, 'pass', null]);
  });

test('it knows one of the three: the claim is wrong, and the answers are told', { skip }, () => {
  for (const [request, answers] of [
    [KVM_DSM_IPI.request, 'EINVAL, ENOTTY, ENOTTY'],
    [KVM_DSM_APIC_BASE.request, 'ENOTTY, ENOTTY, EINVAL'],
  ] as const) {
    const { code, check } = allOrNone(answering(constants.errno.EINVAL, [request]));
    assert.deepEqual([code, check.verdict], [1, 'fail']);
    assert.equal(
      check.reason!.split('\n', 1)[0],
      `KVM_DSM_IPI, KVM_DSM_X2APIC and KVM_DSM_APIC_BASE answer ${answers}`,
    );
  }
});

test('doctor and abi say that it knows them', { skip }, () => {
  const wrapper = answering(constants.errno.EINVAL, all);
  assert.match(kvmDsm(['doctor', '--on', 'host'], 120, wrapper).stdout, /KVM_DSM_IPI is known/);
  const { stdout } = kvmDsm(['abi', '--on', 'host', '--json'], 120, wrapper);
  assert.match(stdout, /known: it answers EINVAL/);
});
