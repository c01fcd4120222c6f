/** The state in which a 64-bit guest starts. */
import { checkInstance } from '../base/check.ts';
import { boolean, shape } from '../base/shape.ts';
import { Vcpu } from '../kvm/vcpu/vcpu.ts';
import { clearedRegs, entryAddress, entryTables, type GuestTables, ripAndFlags, tablesOf } from './entry.ts';
import { codeSegment, dataSegment } from './gdt.ts';

/** CR0.PE, CR0.ET, CR0.PG: protected mode, paging. */
const CR0 = 1n | (1n << 4n) | (1n << 31n);
/** CR4.PAE, which 4-level paging needs. */
const CR4_PAE = 1n << 5n;
/** EFER.LME and EFER.LMA: 64-bit mode is enabled, and active. */
const EFER = (1n << 8n) | (1n << 10n);

/** Where a long64 guest starts. Addresses are guest linear ones, below 4 GiB. */
export interface Long64Entry {
  /** Of the first instruction. */
  rip: number;
  /** Initial stack pointer; the stack grows down. */
  rsp: number;
  /** Guest physical address of the PML4, page-aligned: what CR3 gets. The tables behind it lie in the guest's memory. */
  cr3: number;
  /** Start with RFLAGS.IF set. */
  interrupts: boolean;
  /** GDT and IDT that lie in the guest's memory; the GDT's selector 0x18 is 64-bit code, 0x10 data. */
  tables?: GuestTables;
}

const long64Entry = shape<Long64Entry>('enterLong64() takes', {
  rip: entryAddress,
  rsp: entryAddress,
  cr3: entryAddress,
  interrupts: boolean,
  tables: entryTables,
});

/**
 * Puts a vCPU into 64-bit mode with the page tables that CR3 names. One that has run has to be brought into order first
 * (`vcpu.settle()`). Throws ArgumentError; IoctlError (KVM_SET_SREGS: EINVAL if this CPU has no 64-bit mode).
 */
export function enterLong64(vcpu: Vcpu, entry: Long64Entry): void {
  checkInstance('vcpu', vcpu, Vcpu);
  const given = long64Entry.take(entry, 'entry');
  const sregs = vcpu.getSregs();
  const data = dataSegment();
  vcpu.setSregs({
    ...sregs,
    ...tablesOf(sregs, given.tables),
    cs: codeSegment(64),
    ds: data,
    es: data,
    fs: data,
    gs: data,
    ss: data,
    cr0: CR0,
    cr3: BigInt(given.cr3),
    cr4: CR4_PAE,
    efer: EFER,
  });
  vcpu.setRegs({ ...clearedRegs, ...ripAndFlags(given) });
}
