import type { Subject } from '../check.ts';
import { capability } from './capability.ts';
import { modes } from './modes.ts';
import { order } from './order.ts';
import { payload } from './payload.ts';
import { source } from './source.ts';
import { transparency } from './transparency.ts';

/** The suite: every subject, in the order in which they run. */
export const subjects: readonly Subject[] = [capability, payload, order, transparency, source, modes];
