/** What `kvm-dsm run` prints of the machines of one script. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonLines, kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';

const skip = labMissing();
const script = 'test/cli/scripts/two-machines.ts';

test('the second machine of a script is told from the first, in words and in JSON', { skip, timeout: 600_000 }, () => {
  const words = kvmDsm(['run', script, '--on', 'svm', '--repeat', '1'], 280);
  assert.equal(words.code, 0, words.stderr);
  const events = words.stdout.split('\n').filter((line) => /#\d+ /.test(line));
  assert.deepEqual(
    events.map((line) => line.replace(/ .*(port 0x\d+|KVM_SIGNAL_MSI).*/, ' $1')),
    ['#0 port 0x41', 'machine port 0x42', 'machine KVM_SIGNAL_MSI'],
  );
  assert.match(events[1]!, /^machine 1 #0 vCPU 0 /);
  assert.match(events[2]!, /^machine 1 #1 /);
  const { code, stdout } = kvmDsm(['run', script, '--on', 'svm', '--json'], 280);
  assert.equal(code, 0);
  const lines = jsonLines(stdout).filter(({ type }) => type === 'exit' || type === 'act');
  assert.deepEqual(
    lines.map(({ type, seq, machine }) => [type, seq, machine]),
    [
      ['exit', 0, undefined],
      ['exit', 0, 1],
      ['act', 1, 1],
    ],
  );
});
