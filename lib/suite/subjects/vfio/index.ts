/**
 * KVM's VFIO device: the files that it is told of, and IRQ forwarding, which the lab kernel's extension has. Each check
 * switches the extension on for its own device alone.
 */
import { subject } from '../../check.ts';
import { busyChecks } from './busy.ts';
import { completionChecks } from './completion.ts';
import { fileChecks } from './files.ts';
import { forwardingChecks } from './forwarding.ts';

export const vfio = subject('vfio', "KVM's VFIO device, and IRQ forwarding as the extension does it", [
  ...fileChecks,
  ...forwardingChecks,
  ...busyChecks,
  ...completionChecks,
]);
