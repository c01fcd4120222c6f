/** A machine of the lab for several commands of a test file: what a boot takes and does is tested elsewhere. */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import type { LaneName } from '../../lib/lab/index.ts';
import { kvmDsm } from './command.ts';

/** The `--cmdline` of each that is up. */
const up = new Map<LaneName, string>();
after(() => {
  if (up.size > 0) kvmDsm(['lab', 'down']);
});

/** Brings it up, unless it is: the commands of this process that would boot the lane's machine run in it. */
export function machineUp(lane: LaneName, cmdline = ''): void {
  if ((up.get(lane) ?? cmdline) !== cmdline) kvmDsm(['lab', 'down', '--on', lane]);
  up.set(lane, cmdline);
  const { code, stderr } = kvmDsm(['lab', 'up', '--on', lane, ...(cmdline ? ['--cmdline', cmdline] : [])], 300);
  assert.equal(code, 0, stderr);
}
