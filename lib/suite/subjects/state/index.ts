/** What user space sees and changes between a guest's write and the resume after its exit. */
import { subject } from '../../check.ts';
import { kvmRunChecks } from './kvm-run.ts';
import { pendingChecks } from './pending.ts';
import { resumeChecks } from './resume.ts';

export const state = subject('state', "user space's view of the exit", [
  ...pendingChecks,
  ...kvmRunChecks,
  ...resumeChecks,
]);
