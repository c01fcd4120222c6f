import type { KvmSegment } from '../abi/x86.ts';
import { checkInstance, checkInteger, checkObject } from '../check.ts';
import { Vcpu } from '../vcpu.ts';

/** CR0.PE: protected mode. CR0.ET reads as 1 on every CPU since the 486. */
const CR0_PE = 1n;
const CR0_ET = 1n << 4n;
/** RFLAGS bit 1 is always set. */
const RFLAGS_FIXED = 1n << 1n;
const RFLAGS_IF = 1n << 9n;

/** Where a flat32 guest starts. */
export interface Flat32Entry {
  /** Guest physical address of the first instruction. */
  rip: number;
  /** Initial stack pointer, a guest physical address; the stack grows down. */
  rsp: number;
  /**
   * Whether it starts with interrupts enabled (RFLAGS.IF). Without an IDT an interrupt that arrives is a triple fault;
   * but a guest that spins with IF=0 stops some emulated machines for good.
   */
  interrupts: boolean;
}

/**
 * Puts a vCPU into 32-bit protected mode: no paging, flat segments of 4 GiB, empty IDT. One that has run has to be brought
 * into order first (`vcpu.settle()`): KVM finishes its last exit at the next entry, with the new registers. Throws ArgumentError.
 */
export function enterFlat32(vcpu: Vcpu, entry: Flat32Entry): void {
  checkInstance('vcpu', vcpu, Vcpu);
  checkObject('entry', entry);
  checkInteger('rip', entry.rip, 0, 0xffff_ffff);
  checkInteger('rsp', entry.rsp, 0, 0xffff_ffff);
  const sregs = vcpu.getSregs();
  const data = flatSegment(0x10, 3);
  vcpu.setSregs({
    ...sregs,
    cs: flatSegment(0x08, 11),
    ds: data,
    es: data,
    fs: data,
    gs: data,
    ss: data,
    idt: { base: 0n, limit: 0 },
    cr0: CR0_PE | CR0_ET,
    cr3: 0n,
    cr4: 0n,
    efer: 0n,
  });
  const zero = { rax: 0n, rbx: 0n, rcx: 0n, rdx: 0n, rsi: 0n, rdi: 0n, rbp: 0n };
  vcpu.setRegs({
    ...zero,
    rip: BigInt(entry.rip),
    rsp: BigInt(entry.rsp),
    rflags: RFLAGS_FIXED | (entry.interrupts ? RFLAGS_IF : 0n),
  });
}

/** `type` as in a descriptor: 11 is code (execute, read, accessed), 3 is data (read, write, accessed). */
function flatSegment(selector: number, type: number): KvmSegment {
  return {
    base: 0n,
    limit: 0xffff_ffff,
    selector,
    type,
    present: 1,
    dpl: 0,
    db: 1,
    s: 1,
    l: 0,
    g: 1,
    avl: 0,
    unusable: 0,
  };
}
