/**
 * The diagnosis: what a snapshot says of why a test failed. Each sentence holds by what was read from the machine; what
 * cannot be known is not said.
 */
import type { Ipi } from '../../apic/ipi.ts';
import { endingCause } from './causes/exit.ts';
import { goalCauses } from './causes/goal.ts';
import { stateCauses } from './causes/state.ts';
import { knownIpis } from './ipis.ts';
import type { Snapshot } from './snapshot.ts';
import type { Cause, Ending } from './types.ts';

/** What is sure to be wrong; below it stands what may be as it should. */
const WRONG = 70;
const MOST = 5;

/** The most certain first. */
export function diagnose(snapshot: Snapshot, ending: Ending): Cause[] {
  const ipis = knownIpis(snapshot);
  const ended = endedBy(snapshot, ipis, ending);
  // What the state of a vCPU that cannot go on says of the others' waiting is of no interest.
  const broken = ending.kind === 'exit' ? [ending.event.vcpu] : [];
  const late = ending.kind === 'deadline';
  const states = stateCauses(snapshot, ipis, ending).filter(
    ({ vcpus, weight }) => (late || weight >= WRONG) && !vcpus.some((id) => broken.includes(id)),
  );
  return [...ended, ...goalCauses(snapshot, ipis, ending), ...states]
    .sort((a, b) => b.weight - a.weight)
    .slice(0, MOST);
}

function endedBy(snapshot: Snapshot, ipis: readonly Ipi[], ending: Ending): Cause[] {
  if (ending.kind === 'exit') return [endingCause(snapshot, ipis, ending.event)];
  return ending.kind === 'expectation' ? [{ text: ending.headline, vcpus: [], weight: 94 }] : [];
}
