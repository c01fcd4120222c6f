/**
 * The numbers of arm64's per-vCPU vLPI ioctls, called as they are: on x86 nobody has them, and what the series' own words
 * allow, the loss of a pending interrupt, must not come of a call that is refused.
 */
import { subject } from '../../check.ts';
import { answerChecks } from './answers.ts';
import { effectChecks } from './effects.ts';
import { pendingChecks } from './pending.ts';

export const vlpi = subject('vlpi', "numbers of arm64's vLPIs mean nothing here, and cost no interrupt", [
  ...answerChecks,
  ...effectChecks,
  ...pendingChecks,
]);
