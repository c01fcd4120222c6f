import { fileURLToPath } from 'node:url';

/** This package's folder: two levels up from here, both in a checkout (lib/base) and when built (dist/base). */
export const packageRoot = fileURLToPath(new URL('../../', import.meta.url));
