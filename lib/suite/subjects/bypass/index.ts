/** Ways by which an IPI leaves a guest, or reaches one, without a 32-bit store to the APIC page. */
import { subject } from '../../check.ts';
import { hostChecks } from './host.ts';
import { instructionChecks } from './instructions.ts';
import { lostChecks } from './lost.ts';
import { widthChecks } from './width.ts';

export const bypass = subject('bypass', 'ways around the hook', [
  ...lostChecks,
  ...instructionChecks,
  ...widthChecks,
  ...hostChecks,
]);
