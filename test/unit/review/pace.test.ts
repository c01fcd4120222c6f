/** The time that is left of a review. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Pace } from '../../../lib/review/pace.ts';

const cache = mkdtempSync(join(tmpdir(), 'kvm-dsm-test-'));
process.env.XDG_CACHE_HOME = cache;
after(() => rmSync(cache, { recursive: true, force: true }));

test('is that of the stages to come; of two lanes the longer one counts, and what is kept does not', () => {
  const told: string[] = [];
  using pace = new Pace(['source', 'build with the series', 'suite on svm', 'suite on vmx'], (line) => told.push(line));
  pace.begin('source');
  pace.skip('build with the series');
  pace.end('source');
  pace.begin('suite on vmx');
  pace.begin('suite on svm');
  assert.deepEqual(
    told.map((line) => line.replace(/^\S+ +/, '').replace(/m\d\ds left$/, 'm left')),
    ['source: about 8m left', 'suite on vmx: about 4m left', 'suite on vmx, suite on svm: about 4m left'],
  );
});

test('goes by the pace of a stage once it has one', () => {
  const told: string[] = [];
  using pace = new Pace(['suite on svm'], (line) => told.push(line));
  pace.begin('suite on svm');
  pace.step('suite on svm', '609 of 609 checks', 1);
  pace.begin('another');
  assert.match(told.at(-1)!, /suite on svm 609 of 609 checks; about 0m00s left$/);
});
