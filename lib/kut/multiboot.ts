/** What a boot loader leaves in memory for the image. Source: Multiboot Specification 0.6.96, 3.3. */

/** EAX at the image's first instruction; EBX has the address of the information. */
export const LOADER_MAGIC = 0x2bad_b002;

/** Where QEMU puts it as well: below what an image uses. */
export const INFORMATION = 0x9500;
const MAP = 0x9600;
const MODULES = 0x9680;
const NAME = 0x96c0;
const COMMAND_LINE = 0x9700;
/** As much as fits below the end of that page. */
export const LONGEST_COMMAND_LINE = 0x8ff;

/** mem_*, boot_device, cmdline, mods_*, mmap_*, boot_loader_name */
const FLAGS = 0x1 | 0x2 | 0x4 | 0x8 | 0x40 | 0x200;

/** Memory below 1 MiB that is the image's, and where that above begins; in bytes. */
const LOW = 0x9_fc00;
const HIGH = 0x10_0000;

const USABLE = 1;
const RESERVED = 2;

/** A module: a file that the loader has put into memory. */
export interface BootModule {
  at: number;
  size: number;
}

/** The pieces, by their addresses. `memory` in bytes. */
export function multibootInformation(
  commandLine: string,
  memory: number,
  module: BootModule | null,
): { at: number; bytes: Uint8Array }[] {
  const information = Buffer.alloc(0x78);
  const map = Buffer.concat([
    region(0, LOW, USABLE),
    region(LOW, 0xa_0000 - LOW, RESERVED),
    region(0xf_0000, 0x1_0000, RESERVED),
    region(HIGH, memory - HIGH, USABLE),
  ]);
  const words = [FLAGS, LOW >> 10, (memory - HIGH) >>> 10, 0x8000_ffff, COMMAND_LINE, module ? 1 : 0, MODULES];
  for (const [at, value] of words.entries()) information.writeUInt32LE(value, at * 4);
  information.writeUInt32LE(map.length, 44);
  information.writeUInt32LE(MAP, 48);
  information.writeUInt32LE(NAME, 64);
  const modules = Buffer.alloc(16);
  if (module)
    for (const [at, value] of [module.at, module.at + module.size, COMMAND_LINE].entries())
      modules.writeUInt32LE(value, at * 4);
  return [
    { at: INFORMATION, bytes: information },
    { at: MAP, bytes: map },
    { at: MODULES, bytes: modules },
    { at: NAME, bytes: text('kvm-dsm') },
    { at: COMMAND_LINE, bytes: text(commandLine) },
  ];
}

const text = (value: string) => Buffer.from(`${value}\0`);

/** The entry's size, which does not count itself, stands before it. */
function region(at: number, size: number, kind: number): Buffer {
  const entry = Buffer.alloc(24);
  entry.writeUInt32LE(20, 0);
  entry.writeBigUInt64LE(BigInt(at), 4);
  entry.writeBigUInt64LE(BigInt(size), 12);
  entry.writeUInt32LE(kind, 20);
  return entry;
}
