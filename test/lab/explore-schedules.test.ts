/** `kvm-dsm explore --schedules`. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { jsonLines, kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';
import { machineUp } from '../support/machine-up.ts';

const script = 'test/lab/scripts/schedules.ts';
const explore = (...args: string[]) => kvmDsm(['explore', '--schedules', script, '--on', 'svm', ...args], 300);

describe('kvm-dsm explore --schedules', { skip: labMissing() }, () => {
  before(() => machineUp('svm'));

  test('a schedule that breaks the invariant is told, and comes again by its text', () => {
    const { code, stdout } = explore();
    assert.equal(code, 1, stdout);
    const [, schedule] = /--schedule (\d+)/.exec(stdout) ?? [];
    assert.match(schedule ?? '', /^(0+1+0+|1+0+1+)$/, stdout);
    assert.match(
      stdout,
      /not ok: .*one update is lost: under a schedule of 6 steps, the \d+(st|nd|rd|th) that was run/,
    );
    assert.match(stdout, /^#6 .*mov \[/m);
    const again = explore('--schedule', schedule!, '--json');
    assert.equal(again.code, 1);
    const { schedules, steps, error } = jsonLines(again.stdout).at(-1) as Record<string, unknown>;
    assert.deepEqual({ schedules, steps }, { schedules: 1, steps: 6 });
    const { code: id, ...told } = error as { code: string; schedule: string; steps: unknown[] };
    assert.equal(id, 'ERR_INVARIANT');
    assert.equal(told.schedule, schedule);
    assert.equal(told.steps.length, 6);
    const other = explore('--schedule', '000111');
    assert.equal(other.code, 0, other.stdout);
    assert.match(other.stdout, /ok: 1 schedule of 6 steps in all/);
    assert.equal(explore('--schedule', '0011').code, 2);
  });

  test('a limit ends it before', () => {
    const { code, stdout } = explore('--limit', '1');
    assert.equal(code, 0, stdout);
    assert.match(stdout, /ok: 1 schedule of 6 steps in all/);
  });

  test('the same seed, the same in every step; another one, another', () => {
    const digests = ['7', '7', '8'].map((seed) => {
      const { code, stdout } = explore('--seed', seed, '--', 'random');
      assert.equal(code, 0, stdout);
      return JSON.parse(/^\{"digest.*$/m.exec(stdout)![0]) as unknown;
    });
    assert.deepEqual(digests[0], digests[1]);
    assert.notDeepEqual(digests[0], digests[2]);
  });

  test('a script that explores nothing has not passed', () => {
    const { code, stdout } = explore('--json', '--', 'nothing');
    assert.equal(code, 1);
    assert.equal((jsonLines(stdout).at(-1) as { error: { code: string } }).error.code, 'ERR_NOTHING_EXPLORED');
  });
});

test('what is missing or wrong is said before anything is booted', () => {
  const refused = (args: string[], says: RegExp) => {
    const { code, stderr } = kvmDsm(['explore', ...args]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, says);
  };
  refused(['--schedule', '01'], /--schedule is for schedules: there is no --schedules/);
  refused(['--schedules', script, '--limit', '0'], /--limit/);
  refused(['--schedules', script, '--seed', 'x'], /--seed/);
});
