/** Why a WRMSR had a #GP, where the value says it. Source: Intel SDM volume 3, 11.12.9; AMD APM volume 2, 16.11. */
import type { KvmRegs } from '../../abi/kvm/index.ts';
import { hex } from '../../base/text.ts';

const X2APIC_ICR = 0x830n;
/** Bits 31:20, 17:16 and 13 are reserved; 12, the delivery status of xAPIC mode, is for AMD and ignored by Intel. */
const ICR_RESERVED = 0xfff3_2000n;
const DELIVERY_STATUS = 0x1000n;
const LOW = 0xffff_ffffn;

/** What a person needs to see of that write: the MSR, the value, and reserved bits of it that are known here. */
export function describeWrmsr({ rcx, rax, rdx }: Pick<KvmRegs, 'rcx' | 'rax' | 'rdx'>): string {
  const msr = rcx & LOW;
  const value = ((rdx & LOW) << 32n) | (rax & LOW);
  const what = `WRMSR of ${hex(value)} to MSR ${hex(msr)}`;
  if (msr !== X2APIC_ICR) return what;
  const named = `${what}, the x2APIC's ICR`;
  const reserved = value & ICR_RESERVED;
  if (reserved !== 0n) return `${named}: reserved bits ${hex(reserved)} are set`;
  if ((value & DELIVERY_STATUS) !== 0n)
    return `${named}: bit 12 is set, the delivery status of xAPIC mode: AMD's CPUs refuse it, Intel's ignore it`;
  return named;
}
