/** How many machines of a lane share the checks of a run. */
import { availableParallelism } from 'node:os';
import { laneNamed } from '../../lab/index.ts';
import type { LaneName } from '../../lab/lanes/index.ts';
import { MOST_MACHINES, type TestOptions } from './options.ts';

/** A boot costs about as much as so many checks. */
const WORTH_A_BOOT = 40;

/** What is asked for; otherwise as many as this host has CPUs for, if there are checks enough to be worth their boots. */
export function machinesFor(
  lane: LaneName,
  own: Pick<TestOptions, 'machines' | 'bail' | 'timings'>,
  checks: number,
  hostCpus = availableParallelism(),
): number {
  if (own.machines !== undefined) return Math.min(own.machines, checks);
  // `--bail` ends at what comes first, and `--timings` tells of one machine.
  if (own.bail || own.timings) return 1;
  const room = Math.floor(hostCpus / laneNamed(lane).cpus);
  return Math.max(1, Math.min(room, Math.floor(checks / WORTH_A_BOOT), MOST_MACHINES));
}
