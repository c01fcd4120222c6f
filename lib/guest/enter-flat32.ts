/** The state in which a 32-bit guest without paging starts. */
import { checkInstance } from '../base/check.ts';
import { boolean, shape } from '../base/shape.ts';
import { Vcpu } from '../kvm/vcpu/vcpu.ts';
import { clearedRegs, entryAddress, entryTables, type GuestTables, ripAndFlags, tablesOf } from './entry.ts';
import { codeSegment, dataSegment } from './gdt.ts';

/** CR0.PE: protected mode. CR0.ET reads as 1 on every CPU since the 486. */
const CR0_PE = 1n;
const CR0_ET = 1n << 4n;

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
  /** GDT and IDT that lie in the guest's memory. Default: none, the IDT empty. */
  tables?: GuestTables;
}

const flat32Entry = shape<Flat32Entry>('enterFlat32() takes', {
  rip: entryAddress,
  rsp: entryAddress,
  interrupts: boolean,
  tables: entryTables,
});

/**
 * Puts a vCPU into 32-bit protected mode: no paging, flat segments of 4 GiB. One that has run has to be brought into
 * order first (`vcpu.settle()`): KVM finishes its last exit at the next entry, with the new registers. Throws ArgumentError.
 */
export function enterFlat32(vcpu: Vcpu, entry: Flat32Entry): void {
  checkInstance('vcpu', vcpu, Vcpu);
  const given = flat32Entry.take(entry, 'entry');
  const sregs = vcpu.getSregs();
  const data = dataSegment();
  vcpu.setSregs({
    ...sregs,
    ...tablesOf(sregs, given.tables),
    cs: codeSegment(32),
    ds: data,
    es: data,
    fs: data,
    gs: data,
    ss: data,
    cr0: CR0_PE | CR0_ET,
    cr3: 0n,
    cr4: 0n,
    efer: 0n,
  });
  vcpu.setRegs({ ...clearedRegs, ...ripAndFlags(given) });
}
