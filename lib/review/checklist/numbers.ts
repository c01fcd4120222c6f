/** What a series adds to the user space API, by its text. */
import type { AddedLine } from '../series/diff.ts';
import { claimedNumbers } from './claims.ts';

/** One exit, capability or ioctl. */
export interface ApiNumber {
  name: string;
  kind: 'exit' | 'capability' | 'ioctl';
  number: number;
}

/** The names with numbers among lines of headers. */
export function apiNumbers(lines: readonly Pick<AddedLine, 'path' | 'text'>[]): ApiNumber[] {
  return lines
    .filter(({ path }) => /(^|\/)uapi\//.test(path))
    .flatMap(({ text }): ApiNumber[] => {
      const plain = /^\s*#\s*define\s+(KVM_(EXIT|CAP)_\w+)\s+(0x[0-9a-fA-F]+|\d+)\s*(?:\/\*.*)?$/.exec(text);
      if (plain)
        return [{ name: plain[1]!, kind: plain[2] === 'EXIT' ? 'exit' : 'capability', number: Number(plain[3]) }];
      const request = /^\s*#\s*define\s+(\w+)\s+_IO[WR]*\(\s*(?:KVMIO|0x[aA][eE])\s*,\s*(0x[0-9a-fA-F]+|\d+)/.exec(
        text,
      );
      return request ? [{ name: request[1]!, kind: 'ioctl', number: Number(request[2]) }] : [];
    });
}

/** Of some numbers, what is wrong: taken in the header itself, or claimed by others. */
export function numberClashes(added: readonly ApiNumber[], header: string): string[] {
  const there = apiNumbers(header.split('\n').map((text) => ({ path: 'uapi/', text })));
  return added.flatMap((one) => {
    const same = ({ kind, number }: { kind: string; number: number }) => kind === one.kind && number === one.number;
    // Flags of an exit have names that begin as exits do, and numbers of their own.
    const twice = there.filter((other) => same(other) && other.name !== one.name && one.kind !== 'ioctl');
    return [
      ...twice.map(({ name }) => `${one.name} ${one.number}: the tree has ${name} of that number`),
      ...claimedNumbers.filter(same).map(({ by }) => `${one.name} ${shown(one)}: claimed by ${by}`),
    ];
  });
}

function shown({ kind, number }: ApiNumber): string {
  return kind === 'ioctl' ? `0x${number.toString(16)}` : String(number);
}
