/** What the guest of the opinions needs of a machine, bare or not. */

/** Bytes of the ROM, which ends at 4 GiB. KVM has pages of its own below the last 256 KiB. */
export const ROM_SIZE = 0x4_0000;
/** Bytes of RAM, from 0 on. */
export const RAM = 0xa_0000;
/** Where its text begins in RAM. */
export const TEXT = 0x4_0000;
/** A machine that takes the text from RAM answers TEXT_READY there, and is told where the text ends. Others have a COM1. */
export const TEXT_PORT = 0xe9;
export const TEXT_READY = 0xe9;
/** The last line that it writes. */
export const LAST_LINE = 'end';
/** What it writes ends so, also where it has lost itself. */
export const ENDS = /(?:^|\n)(?:.*lost|end)\n$/;
