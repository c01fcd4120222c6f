/** The profiles there are. */
import { checkFunction, checkInteger, checkObject } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import { show } from '../../base/text.ts';
import { rfcV2 } from './rfc-v2.ts';
import type { DsmExitName, DsmIoctlName, DsmProfile } from './types.ts';

export type * from './types.ts';

/** Every profile there is, by name. */
export const profiles: ReadonlyMap<string, DsmProfile> = new Map([[rfcV2.name, rfcV2]]);

/** The profile that is used where none is named. */
export const defaultProfile: DsmProfile = rfcV2;

const checked = new WeakSet<object>([defaultProfile]);

/** `profile` if it is one; otherwise throws ArgumentError. */
export function checkProfile(profile: DsmProfile): DsmProfile {
  if (checked.has(profile)) return profile;
  const exits = checkObject('profile.exits', checkObject('profile', profile).exits);
  for (const name of Object.keys(defaultProfile.exits) as DsmExitName[])
    checkInteger(
      `profile.exits.${name}.reason`,
      checkObject(`profile.exits.${name}`, exits[name]).reason,
      0,
      0xffff_ffff,
    );
  const ioctls = checkObject('profile.ioctls', profile.ioctls);
  for (const name of Object.keys(defaultProfile.ioctls) as DsmIoctlName[]) {
    const { request, argument } = checkObject(`profile.ioctls.${name}`, ioctls[name]);
    checkInteger(`profile.ioctls.${name}.request`, request, 0, 0xffff_ffff);
    checkFunction(`profile.ioctls.${name}.argument.encode`, checkObject(`profile.ioctls.${name}`, argument).encode);
  }
  checked.add(profile);
  return profile;
}

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

/** The name that a profile gives an exit reason, or `undefined`. */
export function dsmExitName(profile: DsmProfile, reason: number): DsmExitName | undefined {
  for (const name of Object.keys(profile.exits) as DsmExitName[]) {
    if (profile.exits[name].reason === reason) return name;
  }
  return undefined;
}
