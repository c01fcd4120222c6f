/** `kvm-dsm explore --opinions`: bare QEMU, bare Bochs and the model differ in what is known of them, and in nothing else. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { OpinionsDocument } from '../../lib/explore/opinions/report.ts';
import { kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';

test('usage', () => {
  for (const [words, message] of [
    [['--opinions', 'model,xen'], /--opinions xen: nobody of that name.*\n.*Name model, vmx, svm, qemu, bochs/],
    [['--opinions', 'model'], /one opinion differs from none/],
    [['--opinions', 'model,vmx', '--on', 'svm'], /one opinion differs from none/],
    [['--opinions', 'model,qemu', '--replay', '2v7:1'], /--replay 2v7:1 names no history/],
    [['--opinions', 'model,qemu', '--vcpus', '2'], /--vcpus is not for --opinions/],
    [['--opinions', 'model,qemu', '--histories', '5000'], /5000 histories do not fit into one boot/],
  ] as const) {
    const { code, stderr } = kvmDsm(['explore', ...words]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, message);
  }
});

describe('kvm-dsm explore --opinions', { skip: labMissing(), timeout: 300_000 }, () => {
  test('bare QEMU, bare Bochs and the model: what is known, told as that', () => {
    const { code, stdout, stderr } = kvmDsm(
      ['explore', '--opinions', 'model,qemu,bochs', '--seed', '7', '--histories', '60', '--json'],
      200,
    );
    assert.equal(code, 0, stdout + stderr);
    const { asked, withoutX2apic, histories, differences, known } = JSON.parse(stdout) as OpinionsDocument;
    assert.deepEqual([asked, withoutX2apic, histories], [['model', 'qemu', 'bochs'], ['qemu'], 60]);
    assert.deepEqual(differences, []);
    const way = (name: string) => known.find((one) => one.name === name)?.example.values;
    assert.deepEqual(way('lint0-after-init'), { model: '0x700', qemu: '0x10000', bochs: '0x10000' });
    assert.deepEqual(way('bochs-x2apic-ldr'), { model: '0x1', bochs: '0x0' });
  });

  test('an emulator that takes too long is an error that says so', () => {
    const { code, stderr } = kvmDsm(['explore', '--opinions', 'model,qemu', '--seed', '7', '--timeout', '0.05'], 60);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /QEMU as a bare machine did not come to its end within 0.05 s.*\[ERR_LAB_BARE\]/);
  });
});
