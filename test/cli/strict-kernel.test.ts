/** A kernel that knows the injection ioctls, and refuses what it is asked for by way of a question. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { test } from 'node:test';
import { profileByName } from '../../lib/abi/dsm/profiles.ts';
import { _IOW } from '../../lib/abi/kvm/request-number.ts';
import { answering, noAnswers } from '../support/answer-ioctls.ts';
import { kvmDsm, root } from '../support/command.ts';
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

test('each of the three is found out by itself', { skip }, () => {
  const { head } = allOrNone(answering(constants.errno.EPERM, [KVM_DSM_X2APIC.request]));
  assert.deepEqual(head.injects, { ipi: false, x2apic: true, base: false });
});

test('a question that the kernel refuses fails by its name, and the others are asked all the same', { skip }, () => {
  const KVM_RUN = 0xae80;
  const args = ['test', 'capability.probe', 'capability.api-version', 'payload.icr.id', '--on', 'host', '--json'];
  const { code, stdout, stderr } = kvmDsm(args, 120, answering(constants.errno.EPERM, [KVM_RUN]));
  assert.notEqual(stdout, '', stderr);
  const { checks } = JSON.parse(stdout) as SuiteDocument;
  const of = (id: string) => checks.find((check) => check.id === id)!;
  assert.equal(code, 1);
  assert.deepEqual(
    checks.filter(({ verdict }) => verdict === 'fail').map(({ id }) => id),
    ['capability.probe.forwarding'],
  );
  assert.match(of('capability.probe.forwarding').reason!, /not found out whether .*come out: .*KVM_RUN.*EPERM/);
  assert.equal(of('capability.probe.ipi').verdict, 'pass');
  assert.equal(of('capability.api-version').verdict, 'pass');
  assert.deepEqual(of('payload.icr.id').verdict, 'skip');
  assert.match(of('payload.icr.id').reason!, /not found out whether this kernel forwards ICR writes: .*EPERM/);
});

test("a VM that says EINVAL to what nobody has, as arm64's: vLPIs are not supported", { skip }, () => {
  const unknown = _IOW(0xff, 4);
  const wrapper = answering(constants.errno.EINVAL, [0x4004_aef0, 0x4004_aef1, 0x8004_aef2, unknown]);
  const code = `
    import { Kvm } from './lib/index.ts';
    Object.defineProperty(process, 'arch', { value: 'arm64' });
    const vm = Kvm.open().createVm();
    vm.createIrqchip();
    vm.createVcpu(0);
    const calls = [(id) => vm.enableVcpuVlpi(id), (id) => vm.disableVcpuVlpi(id, { insist: true }), (id) => vm.queryVcpuVlpi(id)];
    for (const call of calls) try { call(0); } catch (error) { console.log(error.code, error.missing); }`;
  const [command, ...rest] = [...wrapper, process.execPath, '--import', 'tsx', '--input-type=module', '-e', code];
  const { stdout, stderr } = spawnSync(command!, rest, { encoding: 'utf8', cwd: root });
  assert.equal(
    stdout,
    'ERR_UNSUPPORTED KVM_ENABLE_VCPU_VLPI\nERR_UNSUPPORTED KVM_DISABLE_VCPU_VLPI\nERR_UNSUPPORTED KVM_QUERY_VCPU_VLPI\n',
    stderr,
  );
});
