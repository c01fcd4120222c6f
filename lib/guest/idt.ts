/** Interrupt descriptor tables. Source: Intel SDM volume 3, "Interrupt and Exception Handling"; real mode: "8086 Emulation". */
import { CODE32, CODE64 } from './gdt.ts';

const VECTORS = 256;
/** Present, DPL 0, 32-bit (or 64-bit) interrupt gate: the handler starts with IF clear. */
const INTERRUPT_GATE = 0x8e00;

/** Bytes of the table minus one: what IDTR's limit is. */
export const idtLimits = { real16: VECTORS * 4 - 1, flat32: VECTORS * 8 - 1, long64: VECTORS * 16 - 1 } as const;

/** @param handler guest linear address of each vector's handler */
export function idt32(handler: (vector: number) => number): Uint8Array {
  const table = new DataView(new ArrayBuffer(VECTORS * 8));
  for (let vector = 0; vector < VECTORS; vector++) gate(table, vector * 8, handler(vector), CODE32);
  return new Uint8Array(table.buffer);
}

/** @param handler guest linear address, below 4 GiB, of each vector's handler */
export function idt64(handler: (vector: number) => number): Uint8Array {
  const table = new DataView(new ArrayBuffer(VECTORS * 16));
  for (let vector = 0; vector < VECTORS; vector++) gate(table, vector * 16, handler(vector), CODE64);
  return new Uint8Array(table.buffer);
}

/** The vector table of real mode. */
export function ivt16(handler: (vector: number) => { segment: number; offset: number }): Uint8Array {
  const table = new DataView(new ArrayBuffer(VECTORS * 4));
  for (let vector = 0; vector < VECTORS; vector++) {
    const { segment, offset } = handler(vector);
    table.setUint16(vector * 4, offset, true);
    table.setUint16(vector * 4 + 2, segment, true);
  }
  return new Uint8Array(table.buffer);
}

function gate(table: DataView, at: number, address: number, selector: number): void {
  table.setUint16(at, address & 0xffff, true);
  table.setUint16(at + 2, selector, true);
  table.setUint16(at + 4, INTERRUPT_GATE, true);
  table.setUint16(at + 6, address >>> 16, true);
}
