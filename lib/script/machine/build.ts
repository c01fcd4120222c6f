/** A machine's parts: its VM, memory, CPUID, local APICs and SynIC; and APICv out of the way. */
import { SVR_ENABLED } from '../../abi/apic/lapic.ts';
import { APIC_BASE_EXTD } from '../../abi/apic/msr.ts';
import { GuestTableWriter } from '../../guest/tables.ts';
import { apicvParameter } from '../../host/apicv-parameter.ts';
import { emulatesGuests } from '../../host/emulation.ts';
import { Synic, synicCapability } from '../../hyperv/synic.ts';
import { withApicId } from '../../kvm/apic-id.ts';
import { type Cpuid, hypervCpuid } from '../../kvm/cpuid.ts';
import { GuestMemory } from '../../kvm/guest-memory.ts';
import { Kvm } from '../../kvm/kvm.ts';
import type { Vcpu } from '../../kvm/vcpu/vcpu.ts';
import { TSS_ADDRESS, type Vm } from '../../kvm/vm/vm.ts';
import { inhibitApicv } from '../../probe/inhibit-apicv.ts';
import type { Act } from '../../trace/event.ts';
import type { MachineSetup } from './options.ts';
import { MachineVcpu } from './vcpu.ts';

/** The highest APIC id that xAPIC mode can address; 255 is broadcast. No machine's vCPU has it. */
const PARKED_VCPU_ID = 254;

/** The IOAPIC and what follows it up to 4 GiB: the local APICs' page, KVM's own pages on Intel. */
const DEVICES = 0xfec0_0000;
const FOUR_GIB = 2 ** 32;

/** What is made and closed together. */
export interface BuiltMachine {
  readonly kvm: Kvm;
  /** By node. */
  readonly vms: readonly Vm[];
  readonly memory: GuestMemory;
  /** Each of the node that runs it. */
  readonly vcpus: readonly MachineVcpu[];
  /** The VMs give nobody what their exits tell of. */
  readonly defers: boolean;
}

/**
 * Makes them; if one cannot be made, the others are closed.
 *
 * @param act gets each act of a vCPU
 */
export function build(setup: MachineSetup, act: (act: Act) => void): BuiltMachine {
  const memory = GuestMemory.allocate(setup.memory);
  let kvm: Kvm;
  try {
    kvm = Kvm.open(setup.device, { profile: setup.profile });
  } catch (error) {
    memory.close();
    throw error;
  }
  const vms: Vm[] = [];
  try {
    const { homes, shard } = setup;
    const asked = setup.optIn ?? optInOfNodes(setup, kvm);
    const filled = Array.from({ length: shard ? 1 : Math.max(...homes) + 1 }, () => {
      const vm = kvm.createVm(0, asked === undefined ? {} : { optIn: asked });
      vms.push(vm);
      return fill(setup, kvm, vm, memory, act);
    });
    const vcpus = homes.map((node, id) => filled[shard ? 0 : node]![id]!);
    return { kvm, vms, memory, vcpus, defers: asked?.includes(DEFER) ?? false };
  } catch (error) {
    closeParts({ kvm, vms, memory });
    throw error;
  }
}

/** The bit of an opt-in that leaves to user space what it has been told of. */
const DEFER = 'DEFER';

/**
 * What a VM of several nodes asks for where its kernel can leave to the nodes what is sent: only they can choose one among the vCPUs of all of
 * them. `undefined`: as every VM.
 */
function optInOfNodes({ transport }: MachineSetup, kvm: Kvm): readonly string[] | undefined {
  const way = kvm.profile.optIn;
  if (transport === null || !way?.bits[DEFER]) return undefined;
  const offered = kvm.checkExtension(way.capability);
  const bits = [...way.usual, DEFER].filter((bit) => (way.bits[bit]! & offered) !== 0);
  return bits.includes(DEFER) ? bits : undefined;
}

/** Ends the vCPUs and the VMs, and this process' hold on the memory. */
export function closeParts({ kvm, vms, memory }: Pick<BuiltMachine, 'kvm' | 'vms' | 'memory'>): void {
  const [vm, ...others] = vms;
  try {
    vm?.close();
  } finally {
    if (vm) closeParts({ kvm, vms: others, memory });
    else {
      kvm.close();
      memory.close();
    }
  }
}

function fill(setup: MachineSetup, kvm: Kvm, vm: Vm, memory: GuestMemory, act: (act: Act) => void): MachineVcpu[] {
  const { layout, irqchip, apic, synic, shard, homes } = setup;
  // Before anything is made.
  if (synic !== undefined) synicCapability(vm, synic);
  const shown = setup.cpuid(supportedCpuid(kvm, synic !== undefined));
  if (vm.checkExtension('KVM_CAP_SET_TSS_ADDR')) vm.setTssAddr(TSS_ADDRESS);
  if (irqchip === 'full') vm.createIrqchip();
  else if (irqchip === 'split') vm.enableSplitIrqchip();
  mapMemory(vm, memory);
  const tables = new GuestTableWriter(memory, layout, emulatesGuests());
  const around = { memory, layout, tables, hasLapic: irqchip !== 'none', act };
  const vcpus = Array.from({ length: setup.vcpus }, (_, id) => {
    const vcpu = vm.createVcpu(id);
    vcpu.setCpuid2(withApicId(shown, id));
    if (apic !== 'reset') enableApic(vcpu, apic);
    const runsHere = !shard || homes[id] === shard.node;
    return MachineVcpu.of(vcpu, around, synic ? Synic.enable(vm, vcpu, synic) : null, runsHere);
  });
  if (irqchip !== 'none' && !setup.apicv && apicvParameter()?.enabled) inhibitApicv(vm, PARKED_VCPU_ID);
  if (irqchip !== 'none') renewApicMap(vcpus.at(-1)!.vcpu);
  return vcpus;
}

/** From 0 up to where PCs have their devices; the rest from 4 GiB on. */
function mapMemory(vm: Vm, memory: GuestMemory): void {
  const low = Math.min(memory.size, DEVICES);
  vm.setMemory({ slot: 0, guestPhysAddr: 0, memory, size: low });
  if (memory.size > low) vm.setMemory({ slot: 1, guestPhysAddr: FOUR_GIB, memory, offset: low });
}

function supportedCpuid(kvm: Kvm, hyperv: boolean): Cpuid {
  return hyperv ? hypervCpuid(kvm.supportedCpuid(), kvm.supportedHvCpuid()) : kvm.supportedCpuid();
}

/**
 * KVM makes its map of APIC ids when a vCPU is made, before that vCPU is one of the VM's: the last one is not in it, and an
 * INIT or SIPI to it goes nowhere, until an SVR write of some guest or KVM_SET_LAPIC has the map made anew. Source:
 * kvm_recalculate_apic_map() and kvm_vm_ioctl_create_vcpu() in the kernel.
 */
function renewApicMap(last: Vcpu): void {
  last.setLapic(last.getLapic());
}

function enableApic(vcpu: Vcpu, apic: 'xapic' | 'x2apic'): void {
  if (apic === 'x2apic') {
    const sregs = vcpu.getSregs();
    vcpu.setSregs({ ...sregs, apicBase: sregs.apicBase | APIC_BASE_EXTD });
  }
  vcpu.setLapicRegisters({ SVR: SVR_ENABLED });
}
