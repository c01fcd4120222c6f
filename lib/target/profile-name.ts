/** What `--profile` takes. */
import { profileByName } from '../abi/dsm/profiles.ts';

/** Beside a name: found out by behaviour. */
export const AUTO_PROFILE = 'auto';

/** Throws ArgumentError for what is no profile's name and not `auto`. */
export function checkProfileName(name: string): void {
  if (name !== AUTO_PROFILE) profileByName(name);
}
