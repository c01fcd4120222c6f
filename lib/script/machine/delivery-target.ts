/** A machine's vCPU as the destination of IPIs: its local APIC, what its handlers counted, and what they cannot tell. */
import { type Lapic, LVT_MASKED } from '../../abi/apic/lapic.ts';
import { apicView } from '../../apic/destination.ts';
import type { GuestLayout } from '../../guest/layout.ts';
import type { Vm } from '../../kvm/vm/vm.ts';
import type { ApicAt, DeliveryTarget } from '../expect/deliveries.ts';
import type { MachineVcpu } from './vcpu.ts';

export function deliveryTarget(
  one: MachineVcpu,
  earlier: readonly ApicAt[],
  layout: GuestLayout,
  vm: Vm,
): DeliveryTarget {
  const { id, vcpu } = one;
  const lapic = vcpu.lapic();
  const { idt, apicBase } = vcpu.getSregs();
  const { interrupt } = vcpu.getVcpuEvents();
  const ownIdt = one.loaded !== null && idt.base !== BigInt(layout.idt(id));
  return {
    apic: apicView(id, lapic, apicBase),
    earlier,
    interrupts: one.interrupts,
    waiting: new Set([...lapic.irr, ...lapic.isr, ...(interrupt.injected ? [interrupt.nr] : [])]),
    uncounted(vector) {
      const why = one.uncounted(vector);
      if (why !== undefined) return why;
      if (ownIdt && one.loaded?.start === 'now') return 'it has another IDT than the machine gave it';
      return undefined;
    },
    source: (vector) => lvtSource(lapic, vector) ?? chipSource(vm, vector) ?? synicSource(one),
  };
}

/** What of the local APIC itself has the vector. */
function lvtSource({ registers }: Lapic, vector: number): string | undefined {
  const names = ['LVT_TIMER', 'LVT_PMC', 'LVT_THERMAL', 'LVT_CMCI', 'LVT_ERROR', 'LVT_LINT0', 'LVT_LINT1'] as const;
  const name = names.find((lvt) => (registers[lvt] & LVT_MASKED) === 0 && (registers[lvt] & 0xff) === vector);
  if (name) return `its ${name} has that vector as well`;
  return (registers.SVR & 0xff) === vector ? 'that is its spurious vector as well' : undefined;
}

/** Bit 16 of a redirection entry, as of an LVT entry. */
const MASKED = 1n << 16n;

/** What of the VM's interrupt controllers has it. */
function chipSource(vm: Vm, vector: number): string | undefined {
  const isIt = (data: number | bigint) => Number(BigInt(data) & 0xffn) === vector;
  if (vm.gsiRouting?.some((route) => route.type === 'msi' && isIt(route.data))) return 'a GSI is routed to it as well';
  if (vm.irqchip !== 'full') return undefined;
  const { redirtbl } = vm.getIrqchip('ioapic');
  const pin = redirtbl.findIndex((entry) => (entry & MASKED) === 0n && isIt(entry));
  return pin < 0 ? undefined : `pin ${pin} of the IOAPIC has that vector as well`;
}

function synicSource(one: MachineVcpu): string | undefined {
  return one.hasSynic ? 'its SynIC may bring it as well' : undefined;
}
