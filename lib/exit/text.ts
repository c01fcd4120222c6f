/** An exit in words. */
import { checkObject, checkText } from '../base/check.ts';
import type { Exit } from './exit.ts';
import { readableOf } from './kinds.ts';

/** The exit as one sentence: `KVM_EXIT_IO: out 1 byte to port 0x10: 2a`. */
export function describeExit(exit: Exit): string {
  const name = checkText('name', checkObject('exit', exit).name);
  const text = readableOf(name)?.text?.(exit);
  const what = name === 'unrecognized' ? 'an exit that is not recognized' : name;
  return text === undefined ? what : `${what}: ${text}`;
}
