/** The examples in both lanes. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { jsonLines, kvmDsm, root } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';
import { lanes } from '../support/lanes.ts';
import { machineUp } from '../support/machine-up.ts';

const skip = labMissing();
const names = readdirSync(join(root, 'examples')).map((file) => file.replace(/\.ts$/, ''));

test('the script that runs the examples runs them all', () => {
  const text = readFileSync(join(root, 'test/lab/scripts/examples.ts'), 'utf8');
  const imported = [...text.matchAll(/import\('.*\/examples\/(.*)\.ts'\)/g)].map(([, name]) => name);
  assert.deepEqual(imported.sort(), names.sort());
});

for (const lane of ['svm', 'vmx'] as const) {
  test(`${lane}: the first IPI comes out as two DSM exits, decoded`, { skip }, () => {
    machineUp(lane);
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
    machineUp(lane);
    const { code, stdout, stderr } = kvmDsm(['run', 'test/lab/scripts/series.ts', '--on', lane], 300);
    assert.equal(code, 0, stdout + stderr);
    assert.match(stderr, /series: all checked/);
  });

  test(`${lane}: a guest that spins ends by --timeout with its registers`, { skip }, () => {
    machineUp(lane);
    const { code, stdout } = kvmDsm(['run', 'test/cli/scripts/spin.ts', '--on', lane, '--timeout', '8'], 300);
    assert.match(stdout, /ERR_DEADLINE/);
    assert.match(stdout, /^not ok: vCPU 0 spins at 0x1000: jmp 0x1000 /m);
    assert.equal(code, 1);
  });

  test(`${lane}: doctor finds a kernel that forwards`, { skip }, () => {
    machineUp(lane);
    const { code, stdout, stderr } = kvmDsm(['doctor', '--on', lane, '--json'], 300);
    assert.equal(code, 0, stdout + stderr);
    const { on, ready, checks } = JSON.parse(stdout);
    assert.deepEqual([on, ready], [lane, true]);
    const status = (id: string) => checks.find((check: { id: string }) => check.id === id)?.status;
    assert.deepEqual([status('forwarding'), status('kernel.config')], ['ok', 'ok']);
  });
}

for (const lane of lanes)
  test(`${lane}: every example holds`, { skip }, () => {
    machineUp(lane);
    const { code, stdout, stderr } = kvmDsm(['run', 'test/lab/scripts/examples.ts', '--on', lane, '--json'], 300);
    assert.equal(code, 0, stdout.slice(-5000) + stderr);
    assert.match(stderr, /examples: all/);
    const { ok, exits } = jsonLines(stdout).at(-1)!;
    assert.ok(ok);
    // The storm alone: 3 vCPUs with 100 IPIs each, two writes per IPI, and what each says at its end.
    assert.ok(Number(exits) > 600, `${exits} exits`);
  });

test('a two-vCPU test takes 25 lines at most, its assembly included', () => {
  const lines = readFileSync(join(root, 'examples/ping-pong.ts'), 'utf8').trimEnd().split('\n');
  assert.ok(lines.length <= 25, `${lines.length} lines`);
});
