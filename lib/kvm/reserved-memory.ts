/** Guest physical memory that is not a slot's to have: what the in-kernel interrupt controllers and KVM itself keep there. */
import { APIC_DEFAULT_PHYS_BASE } from '../abi/apic/lapic.ts';
import type { IrqchipKind } from './irqchip-kind.ts';

/** A range of guest physical addresses, and who has it. */
export interface ReservedRange {
  readonly what: string;
  readonly first: bigint;
  readonly end: bigint;
  /** The kernel says EEXIST if memory is there, on Intel alone; otherwise it says nothing, and the guest loses the device. */
  readonly isKvms: boolean;
}

/** Where a VM was told to put KVM's own pages; `null` where nobody said. */
export interface OwnPages {
  readonly tssAddr: number | null;
  readonly identityMapAddr: bigint | null;
}

/** KVM_SET_TSS_ADDR: three pages. */
const TSS_BYTES = 3 * 4096;
/** Where the identity map is unless KVM_SET_IDENTITY_MAP_ADDR was called. */
const IDENTITY_MAP_DEFAULT = 0xfffb_c000n;
const IOAPIC_BASE = 0xfec0_0000n;

const page = (what: string, first: bigint, isKvms: boolean): ReservedRange => ({
  what,
  first,
  end: first + 4096n,
  isKvms,
});

/** The pages of the interrupt controllers that the kernel has, or is to get. */
export function controllerPages(irqchip: IrqchipKind): ReservedRange[] {
  if (irqchip === 'none') return [];
  const lapics = page("the local APICs' page", BigInt(APIC_DEFAULT_PHYS_BASE), false);
  return irqchip === 'full' ? [lapics, page("the IOAPIC's page", IOAPIC_BASE, false)] : [lapics];
}

/** What KVM keeps for itself on Intel: where it needs them, memory there is EEXIST. Source: arch/x86/kvm/vmx/vmx.c. */
export function kvmsOwn({ tssAddr, identityMapAddr }: OwnPages): ReservedRange[] {
  const identity = identityMapAddr === null || identityMapAddr === 0n ? IDENTITY_MAP_DEFAULT : identityMapAddr;
  const own = [page('the page that KVM_SET_IDENTITY_MAP_ADDR chose', identity, true)];
  if (tssAddr === null) return own;
  const first = BigInt(tssAddr);
  return [
    { what: 'the three pages that KVM_SET_TSS_ADDR chose', first, end: first + BigInt(TSS_BYTES), isKvms: true },
    ...own,
  ];
}

/** The first of the ranges that [start, end) meets. */
export function reservedIn(ranges: readonly ReservedRange[], start: bigint, end: bigint): ReservedRange | undefined {
  return ranges.find((range) => start < range.end && range.first < end);
}
