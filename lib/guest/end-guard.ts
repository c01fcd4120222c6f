/**
 * What stands behind a program: code that tells the host that the guest ran past its end, instead of the zeros there,
 * which the CPU would read as `add [eax], al`. It changes no register and no memory, and needs no handler.
 */
import type { GuestMode } from './code.ts';

/** The port that only this code writes. */
export const END_PORT = 0xe4;
/** An instruction has at most 15 bytes: one that the program's end cuts off swallows so many and no more. */
const SLED = 15;
/** Room for it, in bytes. */
export const END_GUARD_SIZE = 0x20;

/** `out 0xe4, eax` behind a sled of `nop`, and back to it: whoever runs the vCPU again is told again. */
export function endGuard(mode: GuestMode): Uint8Array {
  const sled = new Array<number>(SLED).fill(0x90);
  const out = mode === 'real16' ? [0x66, 0xe7, END_PORT] : [0xe7, END_PORT];
  return Uint8Array.of(...sled, ...out, 0xeb, 0x100 - out.length - 2);
}
