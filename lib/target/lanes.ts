/** The lanes of the lab, as `--on` names them. */
import { type LaneName, laneNames } from '../lab/lanes/index.ts';

/** Where a command runs: on this host, in a lab machine, or where the ICR writes are forwarded. */
export type On = 'auto' | 'host' | LaneName;

/** The lane that is asked for by name; `null` for `auto` and `host`. */
export const laneOf = (on: On): LaneName | null => (on === 'auto' || on === 'host' ? null : on);

/** How to ask for one, for a person. */
export const ON_LANES = laneNames.map((name) => `--on ${name}`).join(' or ');
