/** Hyper-V's SynIC: KVM has its registers and delivers its interrupts, user space has its pages. */
import { subject } from '../../check.ts';
import { acknowledgementChecks } from './acknowledgements.ts';
import { messageChecks } from './messages.ts';
import { registerChecks } from './registers.ts';
import { sintChecks } from './sints.ts';

export const synic = subject('synic', "Hyper-V's SynIC", [
  ...registerChecks,
  ...sintChecks,
  ...acknowledgementChecks,
  ...messageChecks,
]);
