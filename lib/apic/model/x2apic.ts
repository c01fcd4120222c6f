/** The MSRs of x2APIC mode. SDM: "x2APIC Register Address Space", "Reserved Bit Checking", "SELF IPI Register". */
import { type LapicRegisterName, lapicRegisterName } from '../../abi/apic/lapic.ts';
import type { Draft } from './draft.ts';
import { send, sendX2Icr } from './icr.ts';
import { setTprByCpu } from './priority.ts';
import { writeRegister } from './registers.ts';

const FIRST = 0x800;
/** Bits 31:20, 17:16 and 13 of the ICR. Bit 12 is ignored: the deviation `x2apic-busy`. */
const ICR_RESERVED = 0xfff3_2000;
const BUSY = 1 << 12;

const registerOf = (msr: number): LapicRegisterName | undefined => lapicRegisterName((msr - FIRST) << 4);

/** False: #GP. */
export function writeX2apic(draft: Draft, vcpu: number, msr: number, low: number, high: number): boolean {
  if (draft.mode(vcpu) !== 'x2apic') return false;
  const register = registerOf(msr);
  if (register === 'ICR') return writeIcr(draft, vcpu, low, high);
  if (register === undefined || high !== 0) return false;
  if (register === 'SELF_IPI') {
    if (low > 0xff) return false;
    const command = {
      vector: low,
      deliveryMode: 'fixed',
      destinationMode: 'physical',
      level: 'deassert',
      trigger: 'edge',
      shorthand: 'self',
    } as const;
    send(draft, { from: vcpu, command, destination: 0, mode: 'x2apic', seq: null }, 'x2apic.self');
    return true;
  }
  if (register === 'ESR' && low !== 0) return false;
  if (register === 'TPR') {
    // Where the CPU does it by itself (Intel), it looks at all reserved bits: the deviation `reserved-masked`.
    if (low > 0xff && draft.options.vendor === 'intel' && draft.choices.of(2) === 0) return false;
    setTprByCpu(draft, vcpu, low, 'tpr');
    return true;
  }
  return writeRegister(draft, vcpu, register, low);
}

function writeIcr(draft: Draft, vcpu: number, low: number, high: number): boolean {
  if ((low & ICR_RESERVED) !== 0) return false;
  sendX2Icr(draft, vcpu, low, high);
  const isReset = draft.started.get(vcpu) === -1;
  // After an INIT to itself nothing is left of it, but for the deviation `icr2-after-x2apic-init`.
  if (!isReset) draft.set(vcpu, 'ICR', low & ~BUSY, 'x2apic.icr');
  if (draft.options.vendor === 'amd') draft.set(vcpu, 'ICR2', high, 'x2apic.icr');
  else if (!isReset) draft.of(vcpu).icrHigh = high;
  draft.touch(vcpu, 'ICR2', 'x2apic.icr');
  return true;
}

const writeOnly: readonly LapicRegisterName[] = ['EOI', 'SELF_IPI'];
/** In the page alone, or that KVM's x2APIC does not have. */
const pageOnly: readonly LapicRegisterName[] = ['APR', 'RRD', 'DFR', 'ICR2', 'LVT_CMCI'];

/** `null`: #GP. */
export function readX2apic(draft: Draft, vcpu: number, msr: number): { low: number; high: number } | null {
  const register = registerOf(msr);
  if (draft.mode(vcpu) !== 'x2apic' || register === undefined) return null;
  if (writeOnly.includes(register) || pageOnly.includes(register)) return null;
  if (register === 'ID') return { low: vcpu, high: 0 };
  const high = draft.options.vendor === 'intel' ? draft.of(vcpu).icrHigh : draft.get(vcpu, 'ICR2');
  return { low: draft.get(vcpu, register), high: register === 'ICR' ? high : 0 };
}
