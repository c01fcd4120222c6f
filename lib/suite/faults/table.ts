/** Every fault: each stands in the subject whose claims it is aimed at. */

import { exitsFaults } from '../subjects/exits/faults.ts';
import { injectionFaults } from '../subjects/injection/faults.ts';
import { modesFaults } from '../subjects/modes/faults.ts';
import { onceFaults } from '../subjects/once/faults.ts';
import { payloadFaults } from '../subjects/payload/faults.ts';
import { sourceFaults } from '../subjects/source/faults.ts';
import { stateFaults } from '../subjects/state/faults.ts';
import { synicFaults } from '../subjects/synic/faults.ts';
import { transparencyFaults } from '../subjects/transparency/faults.ts';
import { vfioFaults } from '../subjects/vfio/faults.ts';
import { vlpiFaults } from '../subjects/vlpi/faults.ts';
import type { Fault } from './fault.ts';

/** In the order of their numbers. */
export const faults: readonly Fault[] = [
  ...payloadFaults,
  ...transparencyFaults,
  ...sourceFaults,
  ...modesFaults,
  ...onceFaults,
  ...stateFaults,
  ...injectionFaults,
  ...exitsFaults,
  ...synicFaults,
  ...vlpiFaults,
  ...vfioFaults,
].toSorted((a, b) => a.number - b.number);
