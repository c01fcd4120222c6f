/**
 * Where things lie in a machine's guest physical memory, which begins at 0:
 *
 * - 64 KiB per vCPU, at vcpu_id << 16: its stack, its program, and what an AP needs to start in real mode. Page 0 begins
 *   with the interrupt vector table of real mode, which SIPI leaves at 0 for every AP.
 * - behind the last of them the tables that protected mode and 64-bit mode need.
 * - the rest is the script's.
 */
import { PAGE_SIZE } from '../kvm/guest-memory.ts';

/** Each vCPU's part of low memory, in bytes. */
export const VCPU_AREA = 0x1_0000;
/** In a vCPU's area: a page of stack, which grows down from here, then the program. */
export const PROGRAM = PAGE_SIZE;
/** Bytes that a program may have. */
export const PROGRAM_ROOM = 0xd000;
/** In vCPU 0's area: what the vectors of real mode lead to. Before them is room for what stands behind a program. */
export const REAL16_HANDLERS = PROGRAM + PROGRAM_ROOM + 0x100;
/** In a vCPU's area: the page that SIPI starts it at, if its program is for another mode than real mode. */
export const TRAMPOLINE = 0xf000;

/** Of a vCPU's tables: the counters lie one page behind its IDT, where the handlers look for them. */
export const COUNTERS = PAGE_SIZE;
/** Behind the IDT as well: a byte per vector, 1 where the handler is to tell the host. */
export const TOLD = COUNTERS + 256 * 4;
const TABLES_SIZE = 2 * PAGE_SIZE;
/** A PML4, a page directory pointer table, and four page directories: 4 GiB in pages of 2 MiB. */
export const PAGE_TABLES_SIZE = 6 * PAGE_SIZE;

/** Guest physical addresses of the tables of a machine. */
export class GuestLayout {
  readonly gdt: number;
  readonly flat32Handlers: number;
  readonly long64Handlers: number;
  readonly pageTables: number;
  /** First byte that belongs to the script alone. */
  readonly end: number;

  constructor(vcpus: number) {
    this.gdt = vcpus * VCPU_AREA;
    this.flat32Handlers = this.gdt + PAGE_SIZE;
    this.long64Handlers = this.flat32Handlers + PAGE_SIZE;
    this.pageTables = this.long64Handlers + PAGE_SIZE;
    this.#tables = this.pageTables + PAGE_TABLES_SIZE;
    this.end = this.#tables + vcpus * TABLES_SIZE;
  }

  readonly #tables: number;

  /** Where the program of a vCPU begins: its stack ends there. */
  program(vcpuId: number): number {
    return vcpuId * VCPU_AREA + PROGRAM;
  }

  trampoline(vcpuId: number): number {
    return vcpuId * VCPU_AREA + TRAMPOLINE;
  }

  idt(vcpuId: number): number {
    return this.#tables + vcpuId * TABLES_SIZE;
  }

  /** 256 counters of 32 bits: how often the handler of each vector ran. */
  counters(vcpuId: number): number {
    return this.idt(vcpuId) + COUNTERS;
  }

  /** 256 bytes: 1 where the handler of a vector tells the host that it has run. */
  told(vcpuId: number): number {
    return this.idt(vcpuId) + TOLD;
  }
}
