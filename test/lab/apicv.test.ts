/** APICv in a Bochs that has it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonLines, kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';

/** A Bochs that offers APICv: 3.0 or newer. Debian 12 has none, so it has to be given. */
const bochs = process.env.KVM_DSM_TEST_BOCHS;
const skip = labMissing() || (bochs ? false : 'KVM_DSM_TEST_BOCHS names no Bochs that offers APICv');
const lane = ['--on', 'vmx', '--emulator', bochs ?? ''];

test('doctor shows APICv, and that machines are forwarded all the same', { skip }, () => {
  const { code, stdout, stderr } = kvmDsm(['doctor', ...lane, '--json'], 300);
  assert.equal(code, 0, stdout + stderr);
  const { checks } = JSON.parse(stdout);
  const status = (id: string) => checks.find((check: { id: string }) => check.id === id)?.status;
  assert.deepEqual(
    [status('module.enable_apicv'), status('forwarding'), status('forwarding.apicv')],
    ['warn', 'ok', 'warn'],
  );
});

test('the first example works where APICv is on', { skip }, () => {
  const { code, stdout, stderr } = kvmDsm(['run', 'examples/first-ipi.ts', ...lane, '--json'], 300);
  assert.equal(code, 0, stdout + stderr);
  assert.equal(jsonLines(stdout).filter(({ reason }) => reason === 45).length, 2);
});

test('with the inhibit turned off there is no DSM exit, and a finding names APICv and both remedies', { skip }, () => {
  const { code, stdout } = kvmDsm(['run', 'test/lab/scripts/apicv.ts', ...lane, '--json'], 300);
  const lines = jsonLines(stdout);
  assert.equal(lines.filter(({ reason }) => reason === 45).length, 0);
  const finding = lines.find(({ type }) => type === 'finding')!;
  assert.match(String(finding.message), /APICv/);
  assert.match(String(finding.advice), /apicv: true.*kvm_intel\.enable_apicv=0/);
  assert.equal(code, 1);
});

test('the host turns it off by its command line', { skip }, () => {
  const args = ['run', 'test/lab/scripts/apicv.ts', ...lane, '--cmdline', 'kvm_intel.enable_apicv=0', '--json'];
  const { code, stdout, stderr } = kvmDsm(args, 300);
  assert.equal(code, 0, stdout + stderr);
  assert.equal(jsonLines(stdout).filter(({ reason }) => reason === 45).length, 2);
});

test('a SINT with auto-EOI inhibits APICv for its machine', { skip }, () => {
  const { code, stdout, stderr } = kvmDsm(['test', 'synic.auto-eoi.apicv', ...lane, '--json'], 300);
  assert.equal(code, 0, stdout + stderr);
  assert.deepEqual(
    JSON.parse(stdout).checks.map(({ verdict }: { verdict: string }) => verdict),
    ['pass'],
  );
});
