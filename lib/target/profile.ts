/** The profile that a command means: one by its name, or the one that the kernel here speaks. */
import { type DsmProfile, profileByName } from '../abi/dsm/profiles.ts';
import { recognizeProfile } from '../probe/profile.ts';
import type { GlobalOptions } from './options.ts';
import { AUTO_PROFILE } from './profile-name.ts';

/**
 * The profile by its name; `auto`: what the kernel that this process runs on speaks, which is told.
 *
 * @throws UnknownSeriesError, ArgumentError, what `Kvm.open` throws
 */
export function profileFor(
  { profile, device }: Pick<GlobalOptions, 'profile' | 'device'>,
  tell: (line: string) => void,
): DsmProfile {
  if (profile !== AUTO_PROFILE) return profileByName(profile);
  const found = recognizeProfile(device);
  tell(`profile ${found.profile.name}, by behaviour: ${found.because}`);
  return found.profile;
}

/** Told where a command's own output does not go. */
export function tellOnStderr(line: string): void {
  process.stderr.write(`${line}\n`);
}
