/** The faults of the lab's kernel, each by what a guest then sees. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faults } from '../../lib/suite/faults/table.ts';
import { kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';
import { lanes } from '../support/lanes.ts';

const skip = labMissing();

for (const lane of lanes) {
  test(`${lane}: each of the kernel's ${faults.length} faults shows, and without one the guest is right`, {
    skip,
  }, () => {
    const { code, stdout, stderr } = kvmDsm(
      ['run', 'test/lab/scripts/faults.ts', '--on', lane, '--timeout', '280'],
      300,
    );
    assert.equal(code, 0, stdout + stderr);
    assert.match(stderr, new RegExp(`faults: ${faults.length} shown`));
  });
}
