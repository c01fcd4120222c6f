// All cases, in the order of their reports.
import { callCases } from './calls.ts';
import type { Case } from './case.ts';
import { kitCases } from './kit.ts';
import { syncCases } from './sync.ts';
import { threadCases } from './threads.ts';

export const cases: readonly Case[] = [...syncCases, ...kitCases, ...threadCases, ...callCases];
