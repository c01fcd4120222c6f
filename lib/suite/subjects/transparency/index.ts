/** What a guest and the other vCPUs can see: as on a kernel that forwards nothing. */
import { subject } from '../../check.ts';
import { atExitChecks } from './at-exit.ts';
import { deliveryChecks } from './delivery.ts';
import { formChecks } from './forms.ts';
import { registerChecks } from './registers.ts';
import { startUpChecks } from './start-up.ts';
import { stateChecks } from './state.ts';

export const transparency = subject('transparency', 'nothing that a guest can see is other than without forwarding', [
  ...formChecks,
  ...deliveryChecks,
  ...startUpChecks,
  ...registerChecks,
  ...atExitChecks,
  ...stateChecks,
]);
