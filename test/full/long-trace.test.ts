/** A trace of 1,000,000 events: it takes little memory while it is made, and what looks at all of it keeps none of it. */
import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { jsonLines, kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';
import { testFolder } from '../support/test-folder.ts';

const COUNT = 1_000_000;
/** MiB that a process may grow by. */
const MOST = 100;

test('a trace of 1,000,000 events, with a file of it', { skip: labMissing(), timeout: 1_500_000 }, async () => {
  const file = join(testFolder(), 'trace.ndjson');
  const args = ['run', 'test/lab/scripts/many-events.ts', '--on', 'svm', '--quiet', '--timeout', '1200'];
  const { code, stdout, stderr } = kvmDsm([...args, '--trace', file, '--', String(COUNT)], 1300);
  assert.equal(code, 0, stdout.slice(-5000) + stderr.slice(-5000));
  const [told] = jsonLines(stdout.split('\n').find((line) => line.startsWith('{')) ?? '');
  assert.ok(Number(told?.growth) < MOST, stdout);

  let events = 0;
  for await (const line of createInterface({ input: createReadStream(file) }))
    if (line.includes('"type":"exit"')) events += 1;
  assert.ok(events > COUNT, `${events} events`);
});
