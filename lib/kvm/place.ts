/** Checks of guest physical addresses and ports. */
import { checkU64 } from '../base/check.ts';
import { ArgumentError } from '../base/errors.ts';

/** A guest physical address, or a port if `pio`. Throws ArgumentError for one that no guest has. */
export function checkPlace(address: number | bigint, pio: boolean): bigint {
  const place = checkU64('address', address);
  if (pio && place > 0xffffn) throw new ArgumentError('address', `There is no port ${place}`, 'Ports are 0 to 0xffff.');
  return place;
}
