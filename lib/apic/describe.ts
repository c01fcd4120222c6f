/** IPIs in the words of reports. */
import { vectorName } from '../abi/exceptions.ts';
import { hex } from '../base/text.ts';
import type { Ipi } from './ipi.ts';

/** `vector 0xf0`, `NMI`, `SIPI with vector 0x1f`. */
export function describeIpi({ command: { deliveryMode, vector } }: Ipi): string {
  switch (deliveryMode) {
    case 'init':
      return 'INIT';
    case 'nmi':
      return 'NMI';
    case 'smi':
      return 'SMI';
    case 'startUp':
      return `SIPI with vector ${hex(vector)}`;
    default:
      return vector < 32 ? `vector ${hex(vector)} (${vectorName(vector)})` : vectorName(vector);
  }
}

/** `vCPU 1`, or `the host`. */
export function describeSender({ from }: Pick<Ipi, 'from'>): string {
  return from === 'host' ? 'the host' : `vCPU ${from}`;
}

/** `APIC id 1`, `logical id 0x2`, `all excluding self`. */
export function describeDestination({ command, destination }: Pick<Ipi, 'command' | 'destination'>): string {
  switch (command.shorthand) {
    case 'self':
      return 'itself';
    case 'allIncludingSelf':
      return 'all including self';
    case 'allExcludingSelf':
      return 'all excluding self';
    default:
      return command.destinationMode === 'logical' ? `logical id ${hex(destination)}` : `APIC id ${destination}`;
  }
}
