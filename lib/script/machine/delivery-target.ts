/** A machine's vCPU as the destination of IPIs: its local APIC, what its handlers counted, and what they cannot tell. */
import { type Lapic, LVT_MASKED } from '../../abi/apic/lapic.ts';
import { NMI_VECTOR } from '../../abi/exceptions.ts';
import { mpStates } from '../../abi/kvm/index.ts';
import { apicView } from '../../apic/destination.ts';
import type { GuestLayout } from '../../guest/layout.ts';
import type { Vcpu } from '../../kvm/vcpu/vcpu.ts';
import type { Vm } from '../../kvm/vm/vm.ts';
import type { ApicAt, DeliveryTarget } from '../../picture/target.ts';
import { type MachineVcpu, uncountedBy } from './vcpu.ts';

export function deliveryTarget(
  one: MachineVcpu,
  earlier: readonly ApicAt[],
  layout: GuestLayout,
  vm: Vm,
): DeliveryTarget {
  const { id, vcpu } = one;
  const lapic = vcpu.lapic();
  const { idt, apicBase } = vcpu.getSregs();
  const ownIdt = one.loaded !== null && idt.base !== BigInt(layout.idt(id));
  const { KVM_MP_STATE_UNINITIALIZED, KVM_MP_STATE_INIT_RECEIVED } = mpStates;
  const mpState = vcpu.getMpState();
  const awaits =
    mpState === KVM_MP_STATE_UNINITIALIZED ? 'INIT' : mpState === KVM_MP_STATE_INIT_RECEIVED ? 'SIPI' : undefined;
  const chip = chipSources(vm);
  // All of it is read now: it says the same when the machine has gone on, or is closed.
  const { hasSynic } = one;
  const loaded = one.loaded;
  return {
    awaits,
    apic: apicView(id, lapic, apicBase),
    earlier,
    interrupts: one.interrupts,
    waiting: waitingOf(vcpu, lapic),
    uncounted(vector) {
      const why = uncountedBy(loaded, vector);
      if (why !== undefined) return why;
      if (ownIdt && loaded?.start === 'now') return 'it has another IDT than the machine gave it';
      return undefined;
    },
    source: (vector) =>
      lvtSource(lapic, vector) ?? chip(vector) ?? (hasSynic ? 'its SynIC may bring it as well' : undefined),
  };
}

/** The vectors that a vCPU has got and not handled: of its IRR and ISR, and what KVM has for it besides. It must not be running. */
export function waitingOf(vcpu: Vcpu, { irr, isr }: Lapic = vcpu.lapic()): ReadonlySet<number> {
  const { interrupt, nmi } = vcpu.getVcpuEvents();
  const waiting = new Set([...irr, ...isr]);
  if (interrupt.injected) waiting.add(interrupt.nr);
  if (nmi.injected || nmi.pending) waiting.add(NMI_VECTOR);
  return waiting;
}

/** What of the local APIC itself has the vector. */
function lvtSource({ registers }: Lapic, vector: number): string | undefined {
  const names = ['LVT_TIMER', 'LVT_PMC', 'LVT_THERMAL', 'LVT_CMCI', 'LVT_ERROR', 'LVT_LINT0', 'LVT_LINT1'] as const;
  const brings = (lvt: number) => ((lvt & DELIVERY_MODE) === LVT_NMI ? vector === NMI_VECTOR : (lvt & 0xff) === vector);
  const name = names.find((lvt) => (registers[lvt] & LVT_MASKED) === 0 && brings(registers[lvt]));
  if (name) return `its ${name} has that vector as well`;
  return (registers.SVR & 0xff) === vector ? 'that is its spurious vector as well' : undefined;
}

/** Bits 10:8 of an LVT entry, and what they are for an NMI. */
const DELIVERY_MODE = 7 << 8;
const LVT_NMI = 4 << 8;

/** Bit 16 of a redirection entry, as of an LVT entry. */
const MASKED = 1n << 16n;

/** What of the VM's interrupt controllers has a vector. */
function chipSources(vm: Vm): (vector: number) => string | undefined {
  const isIt = (data: number | bigint, vector: number) => Number(BigInt(data) & 0xffn) === vector;
  const routing = vm.gsiRouting;
  const pins = vm.irqchip === 'full' ? vm.getIrqchip('ioapic').redirtbl : [];
  return (vector) => {
    if (routing?.some((route) => route.type === 'msi' && isIt(route.data, vector)))
      return 'a GSI is routed to it as well';
    const pin = pins.findIndex((entry) => (entry & MASKED) === 0n && isIt(entry, vector));
    return pin < 0 ? undefined : `pin ${pin} of the IOAPIC has that vector as well`;
  };
}
