/** Page tables for 64-bit mode. Source: Intel SDM volume 3, "4-Level Paging". */
import { PAGE_SIZE } from '../kvm/guest-memory.ts';
import { PAGE_TABLES_SIZE } from './layout.ts';

const PRESENT_WRITABLE = 3n;
/** In a page directory: the entry maps 2 MiB itself. */
const LARGE = 1n << 7n;
const GIB = 4;
const ENTRIES = PAGE_SIZE / 8;

/** Maps the first 4 GiB one to one, the APIC page in it, in pages of 2 MiB: the tables as they must lie at `address`. */
export function identityTables(address: number): Uint8Array {
  const entries = new BigUint64Array(PAGE_TABLES_SIZE / 8);
  const page = (index: number) => BigInt(address + index * PAGE_SIZE);
  entries[0] = page(1) | PRESENT_WRITABLE;
  for (let gib = 0; gib < GIB; gib++) entries[ENTRIES + gib] = page(2 + gib) | PRESENT_WRITABLE;
  for (let large = 0; large < GIB * ENTRIES; large++)
    entries[2 * ENTRIES + large] = (BigInt(large) << 21n) | LARGE | PRESENT_WRITABLE;
  return new Uint8Array(entries.buffer);
}
