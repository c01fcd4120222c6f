/** The profiles that a shortfall is known of. */
import { profiles } from '../../abi/dsm/profiles.ts';

/** The series as its authors posted it. */
export const asPosted: readonly string[] = ['rfc-v2'];

/** What no series here mends. */
export const everyProfile: readonly string[] = [...profiles.keys()];
