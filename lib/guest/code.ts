/** Code for a guest: its mode, and its bytes at an address. */
import { ArgumentError } from '../base/errors.ts';
import { show } from '../base/text.ts';

/**
 * How a vCPU reads guest code: real16 in real mode; flat32 in 32-bit protected mode without paging, every segment flat,
 * so that an address in the code is a guest physical address; long64 in 64-bit mode.
 */
export type GuestMode = 'real16' | 'flat32' | 'long64';

/** Code for a guest. */
export interface GuestCode {
  /** How the CPU has to read it. */
  readonly mode: GuestMode;
  /** The bytes; of code that depends on its place, those for address 0 or for its `org`. */
  readonly bytes: Uint8Array;
  /** The code as it must be where its first byte has this address. Without it the bytes are the same everywhere. */
  at?(address: number | bigint): GuestCode;
}

const modes: Record<GuestMode, 16 | 32 | 64> = { real16: 16, flat32: 32, long64: 64 };

export const guestModes = Object.keys(modes) as GuestMode[];

/** 16, 32 or 64. Throws ArgumentError if it is no mode. */
export function bitsOf(mode: GuestMode): 16 | 32 | 64 {
  if (typeof mode === 'string' && Object.hasOwn(modes, mode)) return modes[mode];
  throw new ArgumentError('mode', `${show(mode)} is no mode of guest code`, 'Use "real16", "flat32" or "long64".');
}

/** The bytes to put at this address. Throws ArgumentError; AsmError if the code cannot lie there. */
export function bytesAt(code: GuestCode | Uint8Array, address: number | bigint): Uint8Array {
  if (code instanceof Uint8Array) return code;
  // Code that cannot lie at address 0 has no `bytes` to look at: it is asked for those of this place alone.
  if (typeof code === 'object' && code !== null && 'mode' in code) {
    const { bytes } = typeof code.at === 'function' ? code.at(address) : code;
    if (bytes instanceof Uint8Array) return bytes;
  }
  throw new ArgumentError('code', `code is ${show(code)}, no guest code`, 'Give guest code, or a Uint8Array.');
}
