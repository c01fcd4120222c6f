/** The list of the suite's subjects. */
import type { Subject } from '../check.ts';
import { bypass } from './bypass/index.ts';
import { capability } from './capability/index.ts';
import { exits } from './exits/index.ts';
import { injection } from './injection/index.ts';
import { long } from './long/index.ts';
import { matrix } from './matrix/index.ts';
import { modes } from './modes/index.ts';
import { once } from './once/index.ts';
import { order } from './order/index.ts';
import { payload } from './payload/index.ts';
import { source } from './source/index.ts';
import { state } from './state/index.ts';
import { stock } from './stock/index.ts';
import { synic } from './synic/index.ts';
import { transparency } from './transparency/index.ts';
import { vfio } from './vfio/index.ts';
import { vlpi } from './vlpi/index.ts';

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
  matrix,
  long,
  state,
  stock,
  injection,
  exits,
  synic,
  vlpi,
  vfio,
];
