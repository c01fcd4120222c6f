/** The kinds of all families, by name and by number. */
import { type DsmProfile, dsmExitName } from '../abi/dsm/profiles.ts';
import { type ExitReasonName, exitReasonName, exitReasons } from '../abi/kvm/exit-reason.ts';
import { checkText } from '../base/check.ts';
import { ArgumentError } from '../base/errors.ts';
import { suggest } from '../base/nearest.ts';
import type { ValueCheck } from '../base/shape.ts';
import { show } from '../base/text.ts';
import { confidentialExits } from './confidential.ts';
import { debugExits } from './debug.ts';
import { dsmExits } from './dsm.ts';
import { eventExits } from './event.ts';
import type { Exit, ExitName, ExitOf, MainlineExit } from './exit.ts';
import { failureExits } from './failure.ts';
import type { Kind, Readable } from './family.ts';
import { foreignExits, unrecognized } from './foreign.ts';
import { hypercallExits } from './hypercall.ts';
import { hypervExits } from './hyperv.ts';
import { ioExits } from './io.ts';
import { msrExits } from './msr.ts';
import { plainExits } from './plain.ts';

/** A kind for every number of mainline: without one, this does not compile. */
export const mainlineExits: { readonly [N in ExitReasonName]: Kind<ExitOf<N> & MainlineExit> } = {
  ...plainExits,
  ...ioExits,
  ...debugExits,
  ...failureExits,
  ...msrExits,
  ...hypervExits,
  ...hypercallExits,
  ...eventExits,
  ...confidentialExits,
  ...foreignExits,
};

const byName = new Map<string, Readable<Exit>>(
  Object.entries({ ...mainlineExits, ...dsmExits, unrecognized }) as [string, Readable<Exit>][],
);

/** How exits of that name read; `undefined` if there is none. */
export function readableOf(name: string): Readable<Exit> | undefined {
  return byName.get(name);
}

/** What values the fields of an exit can have, but for `name` and `reason`. */
export function fieldsOf(name: ExitName): Readonly<Record<string, ValueCheck<unknown>>> {
  return byName.get(name)!.fields as unknown as Readonly<Record<string, ValueCheck<unknown>>>;
}

/** The name of an exit, of mainline or of any profile. */
export const exitName: ValueCheck<ExitName> = (argument, value) => {
  const name = checkText(argument, value as string);
  if (byName.has(name)) return name as ExitName;
  const names = [...byName.keys()];
  throw new ArgumentError(
    argument,
    `there is no exit ${show(name)}`,
    suggest(name, names, 'docs/kvm-api.md and `kvm-dsm abi` list the exits.'),
  );
};

/** The number by which an exit of that name comes, if every exit with it has that name. */
export function reasonOf(name: ExitName, profile: DsmProfile): number | undefined {
  const own: Partial<Record<string, { reason: number }>> = profile.exits;
  const reason = own[name]?.reason ?? (exitReasons as Partial<Record<string, number>>)[name];
  if (reason === undefined) return undefined;
  return (dsmExitName(profile, reason) ?? exitReasonName(reason)) === name ? reason : undefined;
}

/** Whether a vCPU's thread may store the exit with this number and go on. What nobody knows is the caller's to judge. */
export function goesOnByItself(reason: number, profile: DsmProfile): boolean {
  const name = dsmExitName(profile, reason) ?? exitReasonName(reason) ?? 'unrecognized';
  return readableOf(name)?.goesOnByItself ?? true;
}
