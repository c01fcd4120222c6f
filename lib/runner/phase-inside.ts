/** Inside a machine of the lab: tells the host that a phase has ended, if it asks for that. */
import { writeFileSync } from 'node:fs';
import { marker } from '../lab/disk/init.ts';
import { PHASE_WORD, type Phase, TELL_PHASES } from '../lab/timings.ts';

export function phaseEnded(phase: Phase): void {
  if (process.env[TELL_PHASES]) writeFileSync('/dev/kmsg', `<0>${marker} ${PHASE_WORD} ${phase}\n`);
}
