/** The model beside what kernels have shown: histories that record.ts kept, in which KVM and the model agreed at every operation. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { brotliDecompressSync } from 'node:zlib';
import { partsAt, type RecordedHistory } from '../../support/recorded-history.ts';

for (const [lane, vendor] of [
  ['svm', 'amd'],
  ['vmx', 'intel'],
] as const)
  test(`the model says what KVM on ${vendor} has shown`, () => {
    const packed = readFileSync(new URL(`recorded/${lane}.ndjson.br`, import.meta.url));
    const lines = brotliDecompressSync(packed).toString().split('\n');
    assert.ok(lines.length >= 100, `${lines.length} histories`);
    for (const line of lines) {
      const history = JSON.parse(line) as RecordedHistory;
      assert.equal(history.options.vendor, vendor);
      const at = partsAt(history);
      assert.equal(at, -1, `operation ${at + 1} of ${JSON.stringify(history.steps.map(({ operation }) => operation))}`);
    }
  });
