/** Which MSRs of a vCPU are saved, and in which order they go back. */
import { hypervMsrs, SINTS } from '../abi/hyperv.ts';

interface MsrRange {
  first: number;
  last: number;
  what: string;
}

const at = (what: string, first: number, last = first): MsrRange => ({ first, last, what });

/**
 * MSRs that KVM has and KVM_GET_MSR_INDEX_LIST does not name: user space is to know them. Those that a vCPU lacks are left
 * out when it is saved. Source: arch/x86/kvm/{x86,mtrr,hyperv}.c, svm/svm.c, vmx/vmx.c: what their get_msr answers; the
 * MSRs' meaning: Intel SDM volume 4, AMD APM volume 2 appendix A, the Hypervisor Top Level Functional Specification.
 */
const beside: readonly MsrRange[] = [
  at('performance-monitoring and feature control of old CPUs', 0x2a, 0x2c),
  at('the hash of the SGX launch key', 0x8c, 0x8f),
  at('UMWAIT_CONTROL', 0xe1),
  at('MTRRcap', 0xfe),
  at('BBL_CR_CTL3', 0x11e),
  at('TSX_CTRL', 0x122),
  at('MCG_CAP, MCG_STATUS, MCG_CTL', 0x179, 0x17b),
  at('DEBUGCTL', 0x1d9),
  at('the last branch', 0x1db, 0x1de),
  at('variable-range MTRRs', 0x200, 0x20f),
  at('CMCI of the machine-check banks', 0x280, 0x29f),
  at('fixed-range MTRRs', 0x250),
  at('fixed-range MTRRs', 0x258, 0x259),
  at('fixed-range MTRRs', 0x268, 0x26f),
  at('the page attribute table', 0x277),
  at('MTRRdefType', 0x2ff),
  at('machine-check banks', 0x400, 0x47f),
  at('MCG_EXT_CTL', 0x4d0),
  at('Hyper-V: the VP assist page', 0x4000_0073),
  at('Hyper-V: SVERSION', 0x4000_0081),
  at('Hyper-V: synthetic timers', 0x4000_00b0, 0x4000_00b7),
  at('Hyper-V: crash and reenlightenment', 0x4000_0100, 0x4000_0108),
  at('Hyper-V: TSC invariant control', 0x4000_0118),
  at('AMD: SYSCFG', 0xc001_0010),
  at('AMD: HWCR', 0xc001_0015),
  at('AMD: northbridge configuration', 0xc001_001f),
  at('AMD: interrupt pending, MMIO configuration', 0xc001_0055),
  at('AMD: MMIO configuration', 0xc001_0058),
  at('AMD: VM_CR, IGNNE, HSAVE_PA', 0xc001_0114, 0xc001_0117),
  at('AMD: OS visible work-around', 0xc001_0140, 0xc001_0141),
  at('AMD: virtual SPEC_CTRL', 0xc001_011f),
  at('AMD: DC_CFG, IC_CFG, DE_CFG', 0xc001_1020, 0xc001_102a),
  at('AMD: TSC ratio', 0xc000_0104),
];

/** The LAPIC's page has them. Source: Intel SDM volume 3, table 11-6. */
const X2APIC_FIRST = 0x800;
const X2APIC_LAST = 0x8ff;

/**
 * What to ask a vCPU for, each once.
 *
 * @param listed KVM_GET_MSR_INDEX_LIST
 * @param synic whether it has a SynIC: the list has SCONTROL alone of it
 */
export function msrsToSave(listed: readonly number[], synic: boolean): number[] {
  const { SIMP, SIEFP, SINT0 } = hypervMsrs;
  const sints = synic ? [SIMP, SIEFP, ...range({ first: SINT0, last: SINT0 + SINTS - 1 })] : [];
  const all = new Set([...listed, ...sints, ...beside.flatMap(range)]);
  return [...all].filter((index) => index < X2APIC_FIRST || index > X2APIC_LAST);
}

function range({ first, last }: Pick<MsrRange, 'first' | 'last'>): number[] {
  return Array.from({ length: last - first + 1 }, (_, offset) => first + offset);
}

/** IA32_TIME_STAMP_COUNTER and IA32_TSC_DEADLINE. Source: Intel SDM volume 4. */
const MSR_TSC = 0x10;
const MSR_TSC_DEADLINE = 0x6e0;
/** HV_X64_MSR_STIMER0_CONFIG; the count of each timer follows its configuration. */
const STIMER_FIRST = 0x4000_00b0;
const STIMER_LAST = 0x4000_00b7;

/**
 * The order in which MSRs are set: lower first, otherwise as they were saved. All timers count from the TSC. A synthetic
 * timer's count may start it, so that its configuration, which has whether it runs, comes after.
 */
export function restoreOrder(index: number): number {
  if (index === MSR_TSC) return 0;
  if (index >= STIMER_FIRST && index <= STIMER_LAST) return index % 2 === 1 ? 2 : 3;
  return index === MSR_TSC_DEADLINE ? 4 : 1;
}
