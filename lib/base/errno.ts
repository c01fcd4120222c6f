/** The errno numbers and their names: the one table of the package. */
import { constants } from 'node:os';
import { show } from './text.ts';

// Two pairs share a number: the kernel calls them EAGAIN and EOPNOTSUPP.
const { EWOULDBLOCK: _, ENOTSUP: __, ...kernelErrnos } = constants.errno;
const errnoNames = new Map(Object.entries(kernelErrnos).map(([name, value]) => [value, name]));

export const { EAGAIN, ECANCELED, EINTR, EINVAL, EIO, ETIME } = constants.errno;

/** The name of a positive errno: 17 is `EEXIST`; one that this libc does not know is `errno 999`. */
export function errnoName(errno: number): string {
  return errnoNames.get(errno) ?? `errno ${show(errno)}`;
}
