/** KVM's requests by name, and a request's name for a message. DSM's own requests are in the profiles under dsm/. */
import { checkInteger } from '../../base/check.ts';
import { hex } from '../../base/text.ts';
import { decodeIoctl } from './request-number.ts';
import { requests } from './requests.ts';

/** Without the way that each takes its argument: the declarations have names and numbers alone. */
function numbersOf<R extends Readonly<Record<string, { readonly number: number }>>>(
  of: R,
): { readonly [N in keyof R]: number } {
  return Object.fromEntries(Object.entries(of).map(([name, { number }]) => [name, number])) as {
    readonly [N in keyof R]: number;
  };
}

/** Every request of <linux/kvm.h> that this package knows: the kernel's name and its number. */
export const ioctls = numbersOf(requests);

/** The kernel's name of one of `ioctls`. */
export type IoctlName = keyof typeof ioctls;

const names = new Map<number, string>(Object.entries(ioctls).map(([name, request]) => [request, name]));

/**
 * A request's name for a message: `KVM_CREATE_VM`. `more` adds names that only a profile knows, such as
 * `profile.requests`; it goes before the table of this file. An unknown number comes back in the form of its macro:
 * `_IOW(0xae, 0xf3, 16 bytes)`.
 */
export function ioctlName(request: number, more: Readonly<Record<string, number>> = {}): string {
  checkInteger('request', request, 0, 0xffff_ffff);
  for (const [name, number] of Object.entries(more)) if (number === request) return name;
  const known = names.get(request);
  if (known !== undefined) return known;
  const { dir, type, nr, size } = decodeIoctl(request);
  const macro = { none: '_IO', write: '_IOW', read: '_IOR', readWrite: '_IOWR' }[dir];
  return `${macro}(${hex(type, 2)}, ${hex(nr, 2)}${dir === 'none' && size === 0 ? '' : `, ${size} bytes`})`;
}
