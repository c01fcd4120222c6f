/** What lies where in the memory of the matrix's guests. */
import { APIC_DEFAULT_PHYS_BASE } from '../../../abi/apic/lapic.ts';

/** Tables for 32-bit, PAE, 64-bit and virtual-8086 paging: guest physical addresses. */
export const GDT = 0x1000;
export const IDT = 0x1800;
export const PAGE_DIRECTORY = 0x3000;
export const PDPT = 0x4000;
export const PML4 = 0x5000;
export const LONG_PDPT = 0x6000;
export const DIRECTORIES = 0x7000;
export const V86_DIRECTORY = 0xb000;
export const V86_TABLE = 0xc000;
export const CODE = 0x1_0000;
export const CODE_SIZE = 0x4000;
/** Of the vCPU that writes between the sender's writes. */
export const INTRUDER = 0x1_6000;
export const STACK = 0x1_f000;
/** A byte for each vector that a handler counts in. */
export const COUNTERS = 0x2_1000;
export const HANDLERS = 0x2_2000;
/** Where 64-bit code can have what lies at 0. */
export const HIGH = 2 ** 39;
/** Words that guests may use. */
export const DATA = 0x2_0000;
export const MEMORY_SIZE = 0x4_0000;

export const layout = {
  apic: APIC_DEFAULT_PHYS_BASE,
  /** No memory is there. */
  device: 0xd000_0000,
  /** Where virtual-8086 mode has both. */
  lowApic: 0xd000,
  lowDevice: 0xe000,
} as const;

const ENTRY = 0x67n; // present, writable, for users, accessed and dirty
const LARGE = 0x80n;

/** Every table, as it lies at `at`. */
export function tables(): { at: number; bytes: Uint8Array }[] {
  return [
    { at: GDT, bytes: gdt() },
    { at: IDT, bytes: idt() },
    { at: HANDLERS, bytes: handlers() },
    { at: PAGE_DIRECTORY, bytes: words(1024, (n) => (BigInt(n) << 22n) | LARGE | ENTRY) },
    pdpt(),
    // The same once more from HIGH on.
    { at: PML4, bytes: quads(2, () => BigInt(LONG_PDPT) | ENTRY) },
    { at: LONG_PDPT, bytes: quads(4, (n) => BigInt(DIRECTORIES + n * 0x1000) | ENTRY) },
    { at: DIRECTORIES, bytes: quads(4 * 512, (n) => (BigInt(n) << 21n) | LARGE | ENTRY) },
    { at: V86_DIRECTORY, bytes: words(1, () => BigInt(V86_TABLE) | ENTRY) },
    { at: V86_TABLE, bytes: words(1024, (n) => BigInt(lowPage(n << 12)) | ENTRY) },
  ];
}

/**
 * What PAE paging begins with. A CPU of QEMU sets the accessed bit in it, which is reserved there: KVM then refuses it
 * to the next vCPU, which is why every scene has it written again.
 */
export const pdpt = () => ({ at: PDPT, bytes: quads(4, (n) => BigInt(DIRECTORIES + n * 0x1000) | 1n) });

function lowPage(linear: number): number {
  if (linear === layout.lowApic) return layout.apic;
  return linear === layout.lowDevice ? layout.device : linear;
}

function gdt(): Uint8Array {
  return quads(4, (n) => [0n, 0x00cf_9b00_0000_ffffn, 0x00cf_9300_0000_ffffn, 0x00af_9b00_0000_ffffn][n]!);
}

const HANDLER_SIZE = 32;

/** 32-bit interrupt gates, one for each vector. */
function idt(): Uint8Array {
  return quads(256, (vector) => {
    const at = BigInt(HANDLERS + vector * HANDLER_SIZE);
    return (at & 0xffffn) | (0x08n << 16n) | (0x8e00n << 32n) | ((at >> 16n) << 48n);
  });
}

/** Each vector's handler: it counts; from 32 on it ends the interrupt. */
function handlers(): Uint8Array {
  const eoi = [0xc7, 0x05, 0xb0, 0x00, 0xe0, 0xfe, 0, 0, 0, 0];
  const bytes = new Uint8Array(256 * HANDLER_SIZE);
  for (let vector = 0; vector < 256; vector++) {
    const at = COUNTERS + vector;
    const count = [0xfe, 0x05, at & 0xff, (at >> 8) & 0xff, at >> 16, 0];
    bytes.set([...count, ...(vector < 32 ? [] : eoi), 0xcf], vector * HANDLER_SIZE);
  }
  return bytes;
}

const words = (count: number, word: (n: number) => bigint): Uint8Array =>
  new Uint8Array(Uint32Array.from({ length: count }, (_, n) => Number(word(n))).buffer);

const quads = (count: number, word: (n: number) => bigint): Uint8Array =>
  new Uint8Array(BigUint64Array.from({ length: count }, (_, n) => word(n)).buffer);
