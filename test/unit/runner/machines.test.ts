/** How many machines share a run. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { machinesFor } from '../../../lib/runner/suite/machines.ts';

const plain = { bail: false, timings: false };

test('as many machines as the host has CPUs for: one for vmx, three for svm, eight at most', () => {
  const many = 1000;
  assert.deepEqual(
    [1, 2, 4, 64].map((cpus) => machinesFor('vmx', plain, many, cpus)),
    [1, 2, 4, 8],
  );
  assert.deepEqual(
    [1, 2, 3, 6, 64].map((cpus) => machinesFor('svm', plain, many, cpus)),
    [1, 1, 1, 2, 8],
  );
});

test('few checks are not worth more boots', () => {
  assert.deepEqual(
    [1, 79, 80, 120].map((checks) => machinesFor('vmx', plain, checks, 64)),
    [1, 1, 2, 3],
  );
});

test('what is asked for counts, but no machine is without a check; --bail and --timings take one', () => {
  assert.equal(machinesFor('svm', { ...plain, machines: 3 }, 10, 1), 3);
  assert.equal(machinesFor('svm', { ...plain, machines: 3 }, 2, 1), 2);
  assert.equal(machinesFor('vmx', { ...plain, bail: true }, 1000, 64), 1);
  assert.equal(machinesFor('vmx', { ...plain, timings: true }, 1000, 64), 1);
});
