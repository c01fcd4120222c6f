/** What `run` prints of exits that leave a machine of the lab as the addon has stored them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { jsonLines, kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';

/** Two machines: 400 times ICR2 and ICR, a sync point, a read of a port, an `out`, and a message. */
const EXITS = 2 * (2 * 400 + 3);

describe('exits that are sent as they are stored', { skip: labMissing(), timeout: 400_000 }, () => {
  test('are printed as the script itself would print them, in their order', () => {
    const { code, stdout, stderr } = kvmDsm(
      ['run', 'test/lab/scripts/tells.ts', '--on', 'svm', '--timeout', '250'],
      300,
    );
    assert.equal(code, 0, stderr + stdout.slice(-2000));
    const lines = stdout.trimEnd().split('\n');
    const own = lines.filter((line) => line.startsWith('own ')).map((line) => line.slice(4));
    const named = lines.filter((line) => /^(?:machine 1 )?#\d+ /.test(line));
    assert.equal(named.filter((line) => line.startsWith('machine 1 ')).length, own.length / 2);
    const told = named.map((line) => line.replace(/^machine 1 /, ''));
    assert.equal(own.length, EXITS + 2);
    assert.deepEqual(told, own);
    assert.match(told.join('\n'), /sync "über the wire"/);
    assert.match(told.join('\n'), /KVM_SIGNAL_MSI/);
    assert.match(lines.at(-1)!, new RegExp(`^ok: ${EXITS} exits, 1600 of them forwarded ICR writes;`));
  });

  test('likewise as JSON, with their times', () => {
    const { code, stdout, stderr } = kvmDsm(['run', 'test/lab/scripts/says.ts', '--on', 'svm', '--json'], 300);
    assert.equal(code, 0, stderr + stdout);
    const [exit] = jsonLines(stdout);
    assert.ok((exit!.ns as number) > 0, stdout);
    const { direction, size, port, count, dataOffset, data } = exit!;
    assert.deepEqual(
      { direction, size, port, count, dataOffset, data },
      {
        direction: 'out',
        size: 1,
        port: 16,
        count: 1,
        dataOffset: '0x1000',
        data: '00',
      },
    );
    assert.deepEqual([exit!.type, exit!.seq, exit!.vcpu, exit!.name], ['exit', 0, 0, 'KVM_EXIT_IO']);
  });
});
