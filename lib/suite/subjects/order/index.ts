/** In which order writes come out, among each other and among what else a guest does. */
import { subject } from '../../check.ts';
import { interruptedChecks } from './interrupted.ts';
import { otherExitChecks } from './others.ts';
import { stretchChecks } from './stretch.ts';
import { vcpuChecks } from './vcpus.ts';
import { writeChecks } from './writes.ts';

export const order = subject('order', 'writes come out in program order', [
  ...writeChecks,
  ...otherExitChecks,
  ...vcpuChecks,
  ...interruptedChecks,
  ...stretchChecks,
]);
