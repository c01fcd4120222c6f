/** The profiles that a shortfall is known of. */
import { profiles } from '../../abi/dsm/profiles.ts';

/** The forwarding as its authors wrote it: the series that they posted, and their own branches, whose code is the same. */
export const asPosted: readonly string[] = ['rfc-v2', 'gvm-main', 'gvm-old'];

/** What no series here mends. */
export const everyProfile: readonly string[] = [...profiles.keys()];
