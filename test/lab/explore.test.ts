/** `kvm-dsm explore`: a sound kernel agrees with the model; one with a mistake does not, and is shown by a few operations. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { OpinionsDocument } from '../../lib/explore/opinions/report.ts';
import type { ExploreDocument } from '../../lib/explore/report.ts';
import { kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';
import { lanes } from '../support/lanes.ts';
import { machineUp } from '../support/machine-up.ts';
import { testFolder } from '../support/test-folder.ts';

function explore(...args: string[]): { code: number | null; document: ExploreDocument } {
  const { code, stdout, stderr } = kvmDsm(['explore', '--json', ...args], 400);
  assert.match(stdout, /^\{/, stderr);
  return { code, document: JSON.parse(stdout) as ExploreDocument };
}

/** An APIC that is told of an IPI and sends nothing. */
const fault = 'kvm.dsm_fault=skip-local';
const BROKEN = ['--on', 'svm', '--cmdline', fault];

test('usage', () => {
  for (const [words, message] of [
    [['--vcpus', '5'], /--vcpus.*Give an integer from 1 to 4/s],
    [['--for', 'soon'], /--for.*Give a time such as 60s/s],
    [['--seed', '-1'], /--seed.*Give an integer/s],
    [['--seed', '4294967296'], /--seed.*Give an integer from 0 to 4294967295/s],
    [['--jobs', '0'], /--jobs.*Give an integer from 1 to 64/s],
    [['--replay', '7'], /--replay 7 names no difference/],
    [['--histories', '0'], /--histories.*Give an integer/s],
    [['everything'], /everything is for a script, and there is none/],
    [['--limit', '3'], /--limit is for schedules: there is no --schedules/],
    [['--schedules', 'x.ts', '--vcpus', '3'], /--vcpus is for random histories/],
  ] as const) {
    const { code, stderr } = kvmDsm(['explore', ...words]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, message);
  }
});

describe('kvm-dsm explore', { skip: labMissing(), timeout: 1_800_000 }, () => {
  const counts = {
    svm: [
      [2, 200],
      [4, 50],
    ],
    vmx: [[2, 40]],
  } as const;
  for (const [lane, vcpus, histories] of lanes.flatMap((lane) =>
    counts[lane].map((count) => [lane, ...count] as const),
  ))
    test(`${lane}, ${vcpus} vCPUs: the kernel does what the model says`, () => {
      machineUp(lane);
      const much = ['--vcpus', `${vcpus}`, '--histories', `${histories}`, '--for', '200s'];
      const { code, document } = explore('--on', lane, '--seed', '7', ...much);
      assert.equal(document.difference, null, document.difference?.script);
      assert.deepEqual([code, document.histories, document.seed, document.on], [0, histories, 7, lane]);
    });

  test('KVM-AMD differs from bare QEMU and from the model in what is known of them', () => {
    machineUp('svm');
    const asked = ['--opinions', 'model,svm,qemu', '--on', 'svm', '--seed', '7', '--histories', '40'];
    const { code, stdout, stderr } = kvmDsm(['explore', ...asked, '--json'], 300);
    assert.equal(code, 0, stdout + stderr);
    const { differences, known } = JSON.parse(stdout) as OpinionsDocument;
    assert.deepEqual(differences, []);
    const values = known.find(({ name }) => name === 'lint0-after-init')?.example.values;
    assert.deepEqual(values, { model: '0x700', svm: '0x700', qemu: '0x10000' });
    assert.deepEqual(known.find(({ name }) => name === 'tpr-low-bits')?.who, ['svm']);
  });

  test('a mistake is found, made small, had again, and shown by a script', () => {
    machineUp('svm', fault);
    const { code, document } = explore(...BROKEN, '--seed', '4294967295');
    assert.equal(code, 1);
    const { difference } = document;
    assert.ok(difference?.steady);
    assert.ok(difference.operations.length <= 6);
    assert.equal(difference.fields[0]?.rule, 'accept.irr');
    const lines = difference.script.trimEnd().split('\n');
    assert.ok(lines.length <= 25, `${lines.length} lines`);

    const again = explore(...BROKEN, '--replay', difference.replay);
    assert.equal(again.code, 1);
    const { fields, operations, replay } = again.document.difference!;
    assert.deepEqual([fields, operations, replay], [difference.fields, difference.operations, difference.replay]);

    const script = join(testFolder(), 'difference.ts');
    writeFileSync(script, difference.script);
    const broken = kvmDsm(['run', script, ...BROKEN, '--timeout', '200'], 300);
    assert.equal(broken.code, 1, broken.stderr);
    const sound = kvmDsm(['run', script, '--on', 'svm', '--timeout', '200'], 300);
    assert.equal(sound.code, 0, sound.stdout + sound.stderr);
  });

  test('two processes share the histories, and the first that finds a mistake ends the other', () => {
    machineUp('svm');
    const sound = explore('--on', 'svm', '--seed', '9', '--jobs', '2', '--histories', '101', '--for', '200s');
    assert.deepEqual([sound.code, sound.document.histories, sound.document.seed], [0, 101, 9]);
    machineUp('svm', fault);
    const { code, document } = explore(...BROKEN, '--seed', '9', '--jobs', '2');
    assert.equal(code, 1);
    assert.match(document.difference!.replay, /^2v(?:9|10):/);
    const again = explore(...BROKEN, '--replay', document.difference!.replay);
    assert.deepEqual(again.document.difference?.operations, document.difference!.operations);
  });

  test('in words', () => {
    machineUp('svm', fault);
    const { code, stdout } = kvmDsm(['explore', ...BROKEN, '--seed', '7'], 400);
    assert.equal(code, 1);
    for (const words of [
      /^exploring 2 vCPUs on the svm lab .*, seed 7$/m,
      /^ {2}vCPU \d: IRR\d is 0x[\da-f]+; the model says 0x[\da-f]+ \(bits? [\d, ]+\)$/m,
      /^ {2}accept\.irr: .* \(SDM vol\. 3, "Interrupt Acceptance for Fixed Interrupts"\)$/m,
      /^ {2}1\. vCPU \d: write register ICR value 0x[\da-f]+$/m,
      /^#\d+ .*\| IRR\d: KVM 0x[\da-f]+, model/m,
      /^again: kvm-dsm explore --replay 2v[78]:[\d:]+ --on svm --cmdline kvm\.dsm_fault=skip-local$/m,
    ])
      assert.match(stdout, words);
  });

  // It is one of what the machine is brought back to its beginning by as well: that must not be what is found.
  test('a bug that KVM once had is found', () => {
    const { code, document } = explore('--on', 'svm', '--cmdline', 'kvm.dsm_fault=enable-keeps-id', '--seed', '1');
    assert.equal(code, 1);
    const { operations, fields } = document.difference!;
    // The id itself, or what comes to a wrong vCPU by it.
    assert.ok(fields.length > 0 && operations.length <= 6);
    assert.ok(operations.some((one) => one.do === 'setBase' || (one.do === 'wrmsr' && one.msr === 0x1b)));
  });
});
