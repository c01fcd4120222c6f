/** What a file that is no flat machine code is: told by its first bytes, before a guest runs them as instructions. */

export interface Format {
  /** With its article: `an ELF executable`. */
  readonly name: string;
  readonly advice: string;
}

const FLATTEN = 'Take the machine code out of it: objcopy -O binary in.elf out.bin, linked for where it is loaded.';
const ASSEMBLE = "Assemble it: asm.flat32(readFileSync(path, 'utf8')), or nasm -f bin.";
const UNPACK = 'Unpack it first.';
const LOADER =
  'It needs a loader that does what its header says: take the machine code out of it, or load it by hand with Vm.';

/** Of what these bytes are a file; undefined: nothing that is known, so machine code as far as can be told. */
export function formatOf(bytes: Uint8Array): Format | undefined {
  return (
    elf(bytes) ??
    linuxKernel(bytes) ??
    executable(bytes) ??
    packed(bytes) ??
    multiboot(bytes) ??
    bootSector(bytes) ??
    text(bytes)
  );
}

function startsWith(bytes: Uint8Array, wanted: string | readonly number[], at = 0): boolean {
  const list = typeof wanted === 'string' ? [...Buffer.from(wanted, 'latin1')] : wanted;
  return bytes.length >= at + list.length && list.every((byte, index) => bytes[at + index] === byte);
}

function u16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

function u32(bytes: Uint8Array, at: number): number {
  return (u16(bytes, at) | (u16(bytes, at + 2) << 16)) >>> 0;
}

const elfTypes: Readonly<Record<number, string>> = {
  1: 'object file',
  2: 'executable',
  3: 'shared object',
  4: 'core dump',
};

/** Source: the System V ABI, "ELF Header": e_type, at 16, in the byte order that EI_DATA says. */
function elf(bytes: Uint8Array): Format | undefined {
  if (!startsWith(bytes, [0x7f, 0x45, 0x4c, 0x46])) return undefined;
  const type = bytes.length < 18 ? 0 : bytes[5] === 2 ? (bytes[16]! << 8) | bytes[17]! : u16(bytes, 16);
  return { name: `an ELF ${elfTypes[type] ?? 'file'}`, advice: FLATTEN };
}

/** Source: Documentation/arch/x86/boot.rst of Linux: `HdrS` at 0x202. */
function linuxKernel(bytes: Uint8Array): Format | undefined {
  if (!startsWith(bytes, 'HdrS', 0x202)) return undefined;
  return { name: 'a Linux kernel (bzImage)', advice: LOADER };
}

function executable(bytes: Uint8Array): Format | undefined {
  if (startsWith(bytes, 'MZ')) {
    const header = bytes.length >= 0x40 ? u32(bytes, 0x3c) : 0;
    if (startsWith(bytes, 'PE\0\0', header)) return { name: 'a PE executable (EFI or Windows)', advice: LOADER };
    if (isDosExecutable(bytes)) return { name: 'a DOS executable (MZ)', advice: LOADER };
  }
  if (startsWith(bytes, [0xfe, 0xed, 0xfa]) || startsWith(bytes, [0xfa, 0xed, 0xfe], 1))
    return { name: 'a Mach-O file', advice: FLATTEN };
  if (startsWith(bytes, '!<arch>\n')) return { name: 'an archive of object files (ar)', advice: FLATTEN };
  if (startsWith(bytes, '\0asm')) return { name: 'a WebAssembly module', advice: 'Give machine code of x86.' };
  return aout(bytes);
}

/** The pages that it says it has are those of the file, and its header is within them. */
function isDosExecutable(bytes: Uint8Array): boolean {
  if (bytes.length < 0x1c) return false;
  const pages = u16(bytes, 4);
  const header = u16(bytes, 8) * 16;
  return pages > 0 && (pages - 1) * 512 < bytes.length && header >= 0x1c && header < bytes.length;
}

const aoutMagics = [0o407, 0o410, 0o413, 0o314];
const AOUT_HEADER = 32;

/** Source: a.out.h: a_info, a_text, a_data, a_bss, a_syms, a_entry, a_trsize, a_drsize. The sizes have to be those of a file. */
function aout(bytes: Uint8Array): Format | undefined {
  if (bytes.length <= AOUT_HEADER || !aoutMagics.includes(u16(bytes, 0))) return undefined;
  const [text, data, , symbols] = [4, 8, 12, 16].map((at) => u32(bytes, at)) as [number, number, number, number];
  if (text === 0 || text + data + symbols > bytes.length || text + data + symbols + 0x1000 < bytes.length)
    return undefined;
  return { name: 'an a.out file', advice: FLATTEN };
}

const packers: readonly [name: string, magic: string | readonly number[]][] = [
  ['gzip', [0x1f, 0x8b, 0x08]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['bzip2', [0x42, 0x5a, 0x68, 0x39, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59]],
  ['zip', [0x50, 0x4b, 0x03, 0x04]],
  ['lz4', [0x04, 0x22, 0x4d, 0x18]],
];

function packed(bytes: Uint8Array): Format | undefined {
  const found = packers.find(([, magic]) => startsWith(bytes, magic));
  return found && { name: `a compressed file (${found[0]})`, advice: UNPACK };
}

/** Source: the Multiboot Specification 0.6.96, 3.1.1, and 2.0, 3.1.1: the magic, aligned, and a checksum over the header. */
function multiboot(bytes: Uint8Array): Format | undefined {
  const has = (within: number, align: number, magic: number, words: number) => {
    for (let at = 0; at + words * 4 <= Math.min(bytes.length, within); at += align) {
      if (u32(bytes, at) !== magic) continue;
      let sum = 0;
      for (let word = 0; word < words; word++) sum = (sum + u32(bytes, at + word * 4)) >>> 0;
      if (sum === 0) return true;
    }
    return false;
  };
  if (has(8192, 4, 0x1bad_b002, 3)) return { name: 'an image with a multiboot header', advice: LOADER };
  if (has(32768, 8, 0xe852_50d6, 4)) return { name: 'an image with a multiboot2 header', advice: LOADER };
  return undefined;
}

/** The BIOS puts it at 0x7c00 with DS and SS undefined, and answers its INT: here none of that is so. */
function bootSector(bytes: Uint8Array): Format | undefined {
  if (bytes.length % 512 !== 0 || !startsWith(bytes, [0x55, 0xaa], 510)) return undefined;
  return {
    name: 'a boot sector, made for address 0x7c00',
    advice:
      'Assemble its text without org: labels get the address of the place it is loaded to. There is no BIOS here.',
  };
}

const SHORTEST_TEXT = 8;

/** Whole lines of printable characters: no machine code that does anything is made of these alone. */
function text(bytes: Uint8Array): Format | undefined {
  const bom = startsWith(bytes, [0xef, 0xbb, 0xbf]) || startsWith(bytes, [0xff, 0xfe]) || startsWith(bytes, '#!');
  if (bytes.length < SHORTEST_TEXT && !bom) return undefined;
  const printable = (byte: number) => (byte >= 0x20 && byte < 0x7f) || byte === 9 || byte === 10 || byte === 13;
  const spaces = bytes.some((byte) => byte === 0x20 || byte === 9 || byte === 10);
  if (!bom && !(bytes.every(printable) && spaces)) return undefined;
  const content = Buffer.from(bytes.subarray(0, 4096)).toString('latin1');
  if (/^:[0-9A-F]{10,}\s/i.test(content))
    return { name: 'Intel HEX text', advice: 'Convert it: objcopy -I ihex -O binary.' };
  if (/^S[0-9][0-9A-F]{6,}\s/.test(content))
    return { name: 'S-record text', advice: 'Convert it: objcopy -I srec -O binary.' };
  if (/^(?:(?:0x)?[0-9a-f]{2,8}[\s,]*)+$/i.test(content))
    return {
      name: 'a text of hexadecimal digits',
      advice: "Make bytes of it: Buffer.from(text, 'hex'), or xxd -r -p.",
    };
  return { name: 'a text', advice: ASSEMBLE };
}
