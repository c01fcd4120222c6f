/** The profiles there are. */
import { checkBoolean, checkChoice, checkFunction, checkInteger, checkList, checkObject } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import type { ValueCheck } from '../../base/shape.ts';
import { show } from '../../base/text.ts';
import { fixedV1 } from './fixed-v1.ts';
import { gvmMain } from './gvm-main.ts';
import { gvmOld } from './gvm-old.ts';
import { rfcV2 } from './rfc-v2.ts';
import type { CommonDsmExits, DsmExit, DsmIoctlName, DsmOptIn, DsmProfile } from './types.ts';

export type * from './types.ts';

/** A further profile is a file beside this one, and its name here. */
const all = [rfcV2, gvmMain, gvmOld, fixedV1] as const;

type AllExits = (typeof all)[number]['exits'];
type NamesOf<Exits> = Exits extends unknown ? keyof Exits : never;
type PayloadIn<Exits, N extends string> = Exits extends Readonly<Record<N, DsmExit<infer P>>> ? P : never;

/** Every exit that some profile has, by the kernel's name. */
export type DsmExitName = keyof CommonDsmExits | 'KVM_EXIT_DSM_PV_IPI';
/** The same, as the profiles have them. */
export type ProfileExitName = NamesOf<AllExits>;
/** The layout of its payload: it compiles as long as `DsmExitName` has every name. */
export type DsmPayload<N extends DsmExitName> = PayloadIn<AllExits, N>;

/** Every profile there is, by name. */
export const profiles: ReadonlyMap<string, DsmProfile> = new Map(
  all.map((profile): [string, DsmProfile] => [profile.name, profile]),
);

/** The profile that is used where none is named. */
export const defaultProfile: DsmProfile = rfcV2;

const checked = new WeakSet<object>([defaultProfile]);

/** `profile` if it is one; otherwise throws ArgumentError. */
export function checkProfile(profile: DsmProfile): DsmProfile {
  if (checked.has(profile)) return profile;
  const exits = checkObject('profile.exits', checkObject('profile', profile).exits);
  for (const name of new Set(['KVM_EXIT_DSM_SEND_IRQ', ...Object.keys(exits)]))
    checkInteger(
      `profile.exits.${name}.reason`,
      checkObject(`profile.exits.${name}`, exits[name]!).reason,
      0,
      0xffff_ffff,
    );
  const ioctls = checkObject('profile.ioctls', profile.ioctls);
  for (const name of Object.keys(defaultProfile.ioctls) as DsmIoctlName[]) {
    const { request, argument } = checkObject(`profile.ioctls.${name}`, ioctls[name]);
    checkInteger(`profile.ioctls.${name}.request`, request, 0, 0xffff_ffff);
    checkFunction(`profile.ioctls.${name}.argument.encode`, checkObject(`profile.ioctls.${name}`, argument).encode);
  }
  checkBoolean('profile.injectionChecks', profile.injectionChecks);
  checkBoolean('profile.drains', profile.drains);
  if (profile.optIn !== undefined) checkOptIn(profile.optIn);
  checked.add(profile);
  return profile;
}

function checkOptIn(optIn: DsmOptIn): void {
  const { capability, bits, usual } = checkObject('profile.optIn', optIn);
  checkInteger('profile.optIn.capability', capability, 0, 0xffff_ffff);
  for (const [name, bit] of Object.entries(checkObject('profile.optIn.bits', bits)))
    checkInteger(`profile.optIn.bits.${name}`, bit, 1, 0x7fff_ffff);
  for (const name of checkList('profile.optIn.usual', usual))
    checkChoice('profile.optIn.usual', name, Object.keys(bits));
}

/** A profile, as the value of an option. */
export const profileCheck: ValueCheck<DsmProfile> = (_, value) => checkProfile(value as DsmProfile);

/** The profile of that name. Throws ArgumentError, which lists the names there are, for any other. */
export function profileByName(name: string): DsmProfile {
  const profile = profiles.get(name);
  if (profile === undefined) {
    const known = [...profiles.keys()].join(', ');
    throw new ArgumentError(
      'profile',
      `there is no DSM profile ${typeof name === 'string' ? `'${name}'` : show(name)}; known: ${known}`,
      `Name one of: ${known}.`,
    );
  }
  return profile;
}

/** The names of the bits of an opt-in that a number has. */
export const optInWords = ({ bits }: DsmOptIn, value: number): string =>
  Object.keys(bits)
    .filter((name) => value & bits[name]!)
    .join(', ');

/** The name that a profile gives an exit reason, or `undefined`. */
export function dsmExitName(profile: DsmProfile, reason: number): DsmExitName | undefined {
  return (Object.keys(profile.exits) as DsmExitName[]).find((name) => profile.exits[name]?.reason === reason);
}
