/** What a machine's end is taken for. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Ended, judgeRun } from '../../../lib/lab/boot/judgement.ts';

const dir = mkdtempSync(join(tmpdir(), 'kvm-dsm-judgement-'));
after(() => rmSync(dir, { recursive: true }));

const ended = (how: string, log: string[], rest: Partial<Ended> = {}): Ended => ({
  ...{ how, log, dir, failure: undefined, reported: undefined, watchesLog: false, exitCode: undefined },
  ...{
    connected: true,
    stage: 'running',
    emulator: { kind: 'bochs', version: '2.7', path: '/bochs' } as Ended['emulator'],
  },
  ...rest,
});
const codeOf = (one: Ended) => {
  try {
    return judgeRun(one);
  } catch (error) {
    return (error as { code: string }).code;
  }
};

test('an emulator that crashes has done so, unless the machine had powered itself off before', () => {
  const working = ['[    2.1] something'];
  const over = [...working, '[    2.2] reboot: Power down'];
  assert.equal(codeOf(ended('signal SIGSEGV', working)), 'ERR_LAB_ABORT');
  assert.equal(codeOf(ended('signal SIGSEGV', over)), 'ERR_LAB_STOPPED');
  assert.equal(codeOf(ended('exit code 0', over)), 'ERR_LAB_STOPPED');
  assert.equal(codeOf(ended('signal SIGSEGV', over, { exitCode: 4 })), 4);
  assert.equal(codeOf(ended('signal SIGSEGV', [], { connected: false })), 'ERR_LAB_EMULATOR');
});
