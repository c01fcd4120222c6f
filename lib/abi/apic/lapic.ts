/**
 * The local APIC's registers. Source: Intel SDM volume 3, "Advanced Programmable Interrupt Controller (APIC)", table
 * "Local APIC Register Address Map"; KVM_GET_LAPIC returns the page's first 1024 bytes (struct kvm_lapic_state).
 */
import { checkChoice } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import { show } from '../../base/text.ts';

/** Physical address of the xAPIC page after reset. */
export const APIC_DEFAULT_PHYS_BASE = 0xfee0_0000;
/** The destination of an x2APIC's ICR that means everyone. */
export const X2APIC_BROADCAST = 0xffff_ffff;
/** The destination in ICR2 that means everyone. */
export const XAPIC_BROADCAST = 0xff;
/** SVR bit 8: the APIC is software-enabled. Without it it takes no fixed interrupt. */
export const SVR_ENABLE = 0x100;
/** What enables it: spurious interrupts have vector 0xff. */
export const SVR_ENABLED = SVR_ENABLE | 0xff;
/** Bit 16 of each LVT entry: it brings nothing. */
export const LVT_MASKED = 1 << 16;
/** Bytes of the page that KVM_GET_LAPIC returns. */
export const KVM_APIC_REG_SIZE = 0x400;

/** Every xAPIC register: byte offset in the APIC page. Each is 32 bits wide and 16-byte aligned. */
export const lapicRegisters = {
  ID: 0x020,
  VERSION: 0x030,
  TPR: 0x080,
  APR: 0x090,
  PPR: 0x0a0,
  EOI: 0x0b0,
  RRD: 0x0c0,
  LDR: 0x0d0,
  DFR: 0x0e0,
  SVR: 0x0f0,
  ISR0: 0x100,
  ISR1: 0x110,
  ISR2: 0x120,
  ISR3: 0x130,
  ISR4: 0x140,
  ISR5: 0x150,
  ISR6: 0x160,
  ISR7: 0x170,
  TMR0: 0x180,
  TMR1: 0x190,
  TMR2: 0x1a0,
  TMR3: 0x1b0,
  TMR4: 0x1c0,
  TMR5: 0x1d0,
  TMR6: 0x1e0,
  TMR7: 0x1f0,
  IRR0: 0x200,
  IRR1: 0x210,
  IRR2: 0x220,
  IRR3: 0x230,
  IRR4: 0x240,
  IRR5: 0x250,
  IRR6: 0x260,
  IRR7: 0x270,
  ESR: 0x280,
  LVT_CMCI: 0x2f0,
  ICR: 0x300,
  ICR2: 0x310,
  LVT_TIMER: 0x320,
  LVT_THERMAL: 0x330,
  LVT_PMC: 0x340,
  LVT_LINT0: 0x350,
  LVT_LINT1: 0x360,
  LVT_ERROR: 0x370,
  TMICT: 0x380,
  TMCCT: 0x390,
  TDCR: 0x3e0,
  SELF_IPI: 0x3f0,
} as const;
/** The SDM's name of an APIC register, such as `ICR2`: vol. 3, Local APIC Register Address Map. */
export type LapicRegisterName = keyof typeof lapicRegisters;

const entries = Object.entries(lapicRegisters) as [LapicRegisterName, number][];
const registerNames = entries.map(([name]) => name);
const names = new Map<number, LapicRegisterName>(entries.map(([name, offset]) => [offset, name]));

/** The register at a byte offset of the APIC page, or `undefined` where the page has none. */
export function lapicRegisterName(offset: number): LapicRegisterName | undefined {
  return names.get(offset);
}

/** What an APIC page says. */
export interface Lapic {
  /** Every register's 32 bits, by name. */
  registers: Record<LapicRegisterName, number>;
  /** APIC id in xAPIC mode: ID bits 31:24. In x2APIC mode with 32-bit ids, `registers.ID` is the id. */
  apicId: number;
  /** SVR bit 8: without it no IPI is delivered. */
  softwareEnabled: boolean;
  /** Vectors in service, ascending. */
  isr: number[];
  /** Vectors that came level-triggered, ascending. */
  tmr: number[];
  /** Vectors requested and not yet in service, ascending. */
  irr: number[];
}

function viewOf(page: Uint8Array): DataView {
  if (!(page instanceof Uint8Array) || page.byteLength < KVM_APIC_REG_SIZE) {
    throw new ArgumentError(
      'page',
      `an APIC page has at least ${KVM_APIC_REG_SIZE} bytes, got ${page instanceof Uint8Array ? page.byteLength : show(page)}`,
      'Pass the 1024 bytes of KVM_GET_LAPIC.',
    );
  }
  return new DataView(page.buffer, page.byteOffset, page.byteLength);
}

/** Decodes the 1024 bytes of a struct kvm_lapic_state. Throws ArgumentError for a shorter buffer. */
export function decodeLapic(page: Uint8Array): Lapic {
  const view = viewOf(page);
  const registers = {} as Record<LapicRegisterName, number>;
  for (const [name, offset] of entries) registers[name] = view.getUint32(offset, true);
  return {
    registers,
    apicId: registers.ID >>> 24,
    softwareEnabled: (registers.SVR & SVR_ENABLE) !== 0,
    isr: vectorsAt(view, lapicRegisters.ISR0),
    tmr: vectorsAt(view, lapicRegisters.TMR0),
    irr: vectorsAt(view, lapicRegisters.IRR0),
  };
}

/** The vectors whose bit is set in the eight registers from `offset` on: 32 vectors each, 16 bytes apart. */
function vectorsAt(view: DataView, offset: number): number[] {
  const vectors: number[] = [];
  for (let register = 0; register < 8; register++) {
    const bits = view.getUint32(offset + register * 16, true);
    for (let bit = 0; bit < 32; bit++) if ((bits >>> bit) & 1) vectors.push(register * 32 + bit);
  }
  return vectors;
}

/** One register of an APIC page. Throws ArgumentError for a page shorter than 1024 bytes. */
export function readLapicRegister(page: Uint8Array, name: LapicRegisterName): number {
  checkChoice('name', name, registerNames);
  return viewOf(page).getUint32(lapicRegisters[name], true);
}

/** Changes one register of an APIC page, for KVM_SET_LAPIC. `value`: 0..0xffffffff, otherwise ArgumentError. */
export function writeLapicRegister(page: Uint8Array, name: LapicRegisterName, value: number): void {
  checkChoice('name', name, registerNames);
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
    throw new ArgumentError(
      'value',
      `${name} is 32 bits wide, got ${show(value)}`,
      'Pass an integer from 0 to 0xffffffff.',
    );
  }
  viewOf(page).setUint32(lapicRegisters[name], value, true);
}
