/** The profiles that a shortfall is known of. */

/** The series as its authors posted it. */
export const asPosted: readonly string[] = ['rfc-v2'];
