/** What /proc/cpuinfo says of virtualization. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readHostCpu } from '../../../lib/host/cpu.ts';

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
