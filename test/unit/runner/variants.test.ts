import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ArgumentError } from '../../../lib/base/errors.ts';
import { lanes } from '../../../lib/lab/lanes/index.ts';
import { optionsOf, rowsOf } from '../../../lib/runner/suite/variants.ts';
import type { GlobalOptions } from '../../../lib/target/options.ts';

const global: GlobalOptions = { on: 'vmx', json: false, profile: 'rfc-v2', device: '/dev/kvm', timeout: 60 };

test('without a name there are no rows; `all` is the lane as it is, and all its variants', async () => {
  for (const { name, variants } of lanes) {
    assert.deepEqual(await rowsOf(name as 'svm', []), []);
    const all = await rowsOf(name as 'svm', ['all']);
    assert.deepEqual(all, [{ name: 'default', cmdline: '' }, ...variants]);
    assert.equal(new Set(all.map((row) => row.name)).size, all.length);
    for (const { cmdline } of variants) assert.match(cmdline, /^kvm(_intel|_amd)?\.\w+=\d$/);
  }
});

test('rows come as they are named, each once', async () => {
  const rows = await rowsOf('vmx', ['no-ept', 'default', 'no-ept']);
  assert.deepEqual(
    rows.map(({ name }) => name),
    ['no-ept', 'default'],
  );
});

test('a name that the lane has not, and the host, are refused', async () => {
  await assert.rejects(
    rowsOf('svm', ['no-ept']),
    (error) => error instanceof ArgumentError && /default, no-npt, no-vector-hashing, all/.test(error.advice),
  );
  await assert.rejects(rowsOf('host', ['all']), ArgumentError);
});

test("what the user adds to the kernel's command line stands behind a row's own words", () => {
  const row = { name: 'no-ept', cmdline: 'kvm_intel.ept=0' };
  assert.equal(optionsOf(row, { ...global, cmdline: 'kvm_intel.ept=1' }).cmdline, 'kvm_intel.ept=0 kvm_intel.ept=1');
  assert.equal(optionsOf(row, global).cmdline, 'kvm_intel.ept=0');
  assert.equal(optionsOf({ name: 'default', cmdline: '' }, global), global);
});
