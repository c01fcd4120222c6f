/**
 * Exits 44, 46 and 47, which the series reserves and the lab kernel's extension makes. Each check switches on what it is
 * about for its own machines alone.
 */
import { subject } from '../../check.ts';
import { apicBaseChecks } from './apic-base.ts';
import { dapicChecks } from './dapic.ts';
import { severalNoticesChecks } from './several.ts';
import { switchChecks } from './switches.ts';
import { x2IcrChecks } from './x2-icr.ts';

export const exits = subject('exits', 'the exits that the series reserves, as the extension makes them', [
  ...x2IcrChecks,
  ...apicBaseChecks,
  ...dapicChecks,
  ...severalNoticesChecks,
  ...switchChecks,
]);
