/** The first example in both lanes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonLines, kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';

const skip = labMissing();

for (const lane of ['vmx', 'svm'] as const) {
  test(`${lane}: the first IPI comes out as two DSM exits, decoded`, { skip }, () => {
    const { code, stdout, stderr } = kvmDsm(['run', 'examples/first-ipi.ts', '--on', lane, '--json'], 300);
    assert.equal(code, 0, stdout + stderr);
    const lines = jsonLines(stdout);
    const forwarded = lines.filter(({ reason }) => reason === 45).map(({ ns: _, ...exit }) => exit);
    assert.deepEqual(forwarded, [
      {
        type: 'exit',
        seq: 0,
        vcpu: 0,
        reason: 45,
        name: 'KVM_EXIT_DSM_SEND_IRQ',
        id: 0,
        val: 784,
        val2: 16777216,
        destId: 1,
        register: 'ICR2',
        rip: '0x100a',
      },
      {
        type: 'exit',
        seq: 1,
        vcpu: 0,
        reason: 45,
        name: 'KVM_EXIT_DSM_SEND_IRQ',
        id: 0,
        val: 768,
        val2: 16624,
        destId: 1,
        register: 'ICR',
        icr: {
          vector: 240,
          deliveryMode: 'fixed',
          destinationMode: 'physical',
          level: 'assert',
          trigger: 'edge',
          shorthand: 'none',
        },
        rip: '0x1014',
      },
    ]);
    assert.deepEqual(lines.at(-1), { type: 'result', ok: true, exits: 3 });
  });

  test(`${lane}: the series as it is: local delivery, one slot, what is and what is not forwarded`, { skip }, () => {
    const { code, stdout, stderr } = kvmDsm(['run', 'test/lab/scripts/series.ts', '--on', lane], 300);
    assert.equal(code, 0, stdout + stderr);
    assert.match(stderr, /series: all checked/);
  });

  test(`${lane}: a guest that spins ends by --timeout with its registers`, { skip }, () => {
    const { code, stdout } = kvmDsm(['run', 'test/cli/scripts/spin.ts', '--on', lane, '--timeout', '2'], 300);
    assert.match(stdout, /ERR_DEADLINE/);
    assert.match(stdout, /^not ok: vCPU 0 spins at 0x1000: jmp 0x1000 /m);
    assert.equal(code, 1);
  });

  test(`${lane}: doctor finds a kernel that forwards`, { skip }, () => {
    const { code, stdout, stderr } = kvmDsm(['doctor', '--on', lane, '--json'], 300);
    assert.equal(code, 0, stdout + stderr);
    const { on, ready, checks } = JSON.parse(stdout);
    assert.deepEqual([on, ready], [lane, true]);
    const status = (id: string) => checks.find((check: { id: string }) => check.id === id)?.status;
    assert.deepEqual([status('forwarding'), status('kernel.config')], ['ok', 'ok']);
  });
}
