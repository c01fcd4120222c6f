import type { Subject } from '../check.ts';
import { bypass } from './bypass.ts';
import { capability } from './capability.ts';
import { exits } from './exits.ts';
import { injection } from './injection.ts';
import { modes } from './modes.ts';
import { once } from './once.ts';
import { order } from './order.ts';
import { payload } from './payload.ts';
import { source } from './source.ts';
import { state } from './state.ts';
import { stock } from './stock.ts';
import { synic } from './synic.ts';
import { transparency } from './transparency.ts';
import { vfio } from './vfio.ts';
import { vlpi } from './vlpi.ts';

/** The suite: every subject, in the order in which they run. */
export const subjects: readonly Subject[] = [
  capability,
  payload,
  transparency,
  source,
  modes,
  order,
  once,
  bypass,
  state,
  stock,
  injection,
  exits,
  synic,
  vlpi,
  vfio,
];
