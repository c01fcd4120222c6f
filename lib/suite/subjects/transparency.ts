/** What a guest and the other vCPUs can see: as on a kernel that forwards nothing. */
import { subject } from '../check.ts';
import { deliveryChecks } from './transparency/delivery.ts';
import { formChecks } from './transparency/forms.ts';
import { registerChecks } from './transparency/registers.ts';
import { stateChecks } from './transparency/state.ts';

export const transparency = subject('transparency', 'nothing that a guest can see is other than without forwarding', [
  ...formChecks,
  ...deliveryChecks,
  ...registerChecks,
  ...stateChecks,
]);
