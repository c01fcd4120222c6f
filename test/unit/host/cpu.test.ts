/** What /proc/cpuinfo says of virtualization. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readHostCpu } from '../../../lib/host/cpu.ts';
import { kvmModule } from '../../../lib/host/kvm-module.ts';

const cpuinfo = (flags: string) =>
  `processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Some CPU @ 2.00GHz\nflags\t\t: fpu ${flags} sse2\n` +
  `vmx flags\t: vnmi vmx\n\nprocessor\t: 1\nvendor_id\t: GenuineIntel\nflags\t\t: fpu ${flags} sse2\n`;

test('vendor, model, CPUs that are online, and what the flags say of virtualization', () => {
  assert.deepEqual(readHostCpu(cpuinfo('vmx')), {
    vendor: 'GenuineIntel',
    model: 'Some CPU @ 2.00GHz',
    online: 2,
    virtualization: 'VMX',
  });
  assert.equal(readHostCpu(cpuinfo('svm')).virtualization, 'SVM');
});

test('a flag that only holds the word is another one, and nothing told is nothing known', () => {
  assert.equal(readHostCpu(cpuinfo('svm_lock vmx_x')).virtualization, null);
  assert.deepEqual(readHostCpu(''), { vendor: '', model: '', online: 0, virtualization: null });
});

test('the module that runs guests is that of the CPU, whichever are there', () => {
  const root = mkdtempSync(join(tmpdir(), 'kvm-dsm-module-'));
  try {
    assert.equal(kvmModule(root, 'SVM'), null);
    mkdirSync(join(root, 'kvm_intel'));
    assert.deepEqual(
      [kvmModule(root, 'VMX'), kvmModule(root, 'SVM'), kvmModule(root, null)],
      ['kvm_intel', null, null],
    );
    mkdirSync(join(root, 'kvm_amd'));
    assert.deepEqual([kvmModule(root, 'VMX'), kvmModule(root, 'SVM')], ['kvm_intel', 'kvm_amd']);
  } finally {
    rmSync(root, { recursive: true });
  }
});
