/** What booting a machine needs. */
import { KvmDsmError } from '../../base/errors.ts';
import { canBind } from '../../host/bound-process.ts';
import { findEmulator } from '../lanes/find-emulator.ts';
import type { Lane } from '../lanes/lane.ts';
import { busyboxNeed } from './busybox.ts';
import { everywhere } from './distribution.ts';
import { type LabNeed, program } from './need.ts';

/** What every boot takes: busybox for the user space inside, xorriso for its disk, util-linux to end with us. */
const everyMachine: readonly LabNeed[] = [
  busyboxNeed,
  program('xorriso', everywhere('xorriso', { arch: ['libisoburn'] })),
  {
    // busybox has one that does not know it.
    name: "util-linux' setpriv, with --pdeathsig",
    isThere: canBind,
    packages: everywhere('util-linux', { alpine: ['setpriv'] }),
  },
  program('flock', everywhere('util-linux', { alpine: ['flock'] })),
];

/**
 * What booting a lane takes.
 *
 * @param emulator the one that the caller gives: then nothing is asked for of the distribution's
 */
export function laneNeeds(lane: Lane, emulator?: string): LabNeed[] {
  return [...everyMachine, ...lane.needs, ...(emulator === undefined ? [emulatorNeed(lane)] : [])];
}

function emulatorNeed(lane: Lane): LabNeed {
  const { binary, title, packages } = lane.emulator;
  return { name: `${binary} (${title}), with its firmware`, isThere: () => isUsable(lane), packages };
}

function isUsable(lane: Lane): boolean {
  try {
    findEmulator(lane);
    return true;
  } catch (error) {
    if (error instanceof KvmDsmError) return false;
    throw error;
  }
}
