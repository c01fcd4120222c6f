/** The injection ioctls: a write of another machine, replayed on a vCPU's LAPIC. */
import { subject } from '../../check.ts';
import { answerChecks } from './answers.ts';
import { baseChecks } from './base.ts';
import { errnoChecks } from './errno.ts';
import { ipiChecks } from './ipi.ts';
import { isolationChecks } from './isolation.ts';
import { stateChecks } from './states/checks.ts';
import { twinChecks } from './twins.ts';
import { unreadableChecks } from './unreadable.ts';
import { vcpuIdChecks } from './vcpu-id.ts';
import { x2apicChecks } from './x2apic.ts';

export const injection = subject('injection', 'what the ioctls of patch 3/3 replay', [
  ...ipiChecks,
  ...x2apicChecks,
  ...baseChecks,
  ...vcpuIdChecks,
  ...answerChecks,
  ...unreadableChecks,
  ...isolationChecks,
  ...twinChecks,
  ...stateChecks,
  ...errnoChecks,
]);
