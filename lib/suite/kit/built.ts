/** A VM made by hand, for checks whose vCPUs `machine()` cannot make. */
import type { LapicRegisterName } from '../../abi/apic/lapic.ts';
import { mpStates } from '../../abi/kvm/index.ts';
import type { Exit } from '../../exit/exit.ts';
import { bytesAt, type GuestCode } from '../../guest/code.ts';
import { enterFlat32 } from '../../guest/enter-flat32.ts';
import { apicvParameter } from '../../host/apicv-parameter.ts';
import { GuestMemory, PAGE_SIZE } from '../../kvm/guest-memory.ts';
import type { Vcpu } from '../../kvm/vcpu/vcpu.ts';
import { TSS_ADDRESS, type Vm } from '../../kvm/vm/vm.ts';
import { inhibitApicv } from '../../probe/inhibit-apicv.ts';
import type { CheckContext } from './context.ts';
import { driveUntil, isPort, saw } from './drive.ts';
import { DONE_PORT } from './guests.ts';

export interface BuiltOptions {
  /** vcpu_id of each vCPU, in the order of their making: what KVM counts as their index. */
  ids: readonly number[];
  irqchip?: 'full' | 'split';
  /** KVM_SET_BOOT_CPU_ID. */
  bootCpuId?: number;
  /** What KVM_SET_LAPIC changes of each local APIC. Default: enabled by SVR. */
  lapic?: Partial<Record<LapicRegisterName, number>>;
}

/** The highest APIC id that xAPIC mode can address: no check gives it to a vCPU of its own. */
const PARKED_VCPU_ID = 254;

/** A VM by hand, for what `machine()` cannot make: its vCPUs have any ids. Every local APIC is in xAPIC mode. */
export class Built {
  readonly vm: Vm;
  readonly vcpus: readonly Vcpu[];
  readonly #ctx: CheckContext;
  readonly #memory: GuestMemory;

  constructor(ctx: CheckContext, { ids, irqchip = 'full', bootCpuId, lapic = { SVR: 0x1ff } }: BuiltOptions) {
    this.#ctx = ctx;
    this.#memory = ctx.own(GuestMemory.allocate((ids.length + 1) * PAGE_SIZE));
    const vm = ctx.own(ctx.kvm().createVm());
    this.vm = vm;
    if (vm.checkExtension('KVM_CAP_SET_TSS_ADDR')) vm.setTssAddr(TSS_ADDRESS);
    if (irqchip === 'full') vm.createIrqchip();
    else vm.enableSplitIrqchip();
    if (bootCpuId !== undefined) vm.setBootCpuId(bootCpuId);
    vm.setMemory({ slot: 0, guestPhysAddr: 0, memory: this.#memory });
    this.vcpus = ids.map((id) => {
      const vcpu = vm.createVcpu(id);
      vcpu.setLapicRegisters(lapic);
      return vcpu;
    });
    if (apicvParameter()?.enabled) inhibitApicv(vm, PARKED_VCPU_ID);
  }

  /** Guest code for one vCPU, at most a page of it; it has no IDT, and no stack that it may keep. */
  program(vcpu: Vcpu, code: GuestCode): void {
    const entry = (this.vcpus.indexOf(vcpu) + 1) * PAGE_SIZE;
    this.#memory.write(entry, bytesAt(code, entry));
    enterFlat32(vcpu, { rip: entry, rsp: entry, interrupts: true });
    vcpu.setMpState(mpStates.KVM_MP_STATE_RUNNABLE);
  }

  /** Runs one vCPU to its next exit. */
  next(vcpu: Vcpu): Exit {
    return saw(this.#ctx, vcpu, vcpu.run({ profile: this.#ctx.profile }));
  }

  /** Runs one vCPU until it leaves by DONE_PORT; its exits before that. */
  finish(vcpu: Vcpu): Exit[] {
    const what = `that is the end of vCPU ${vcpu.vcpuId}`;
    return driveUntil(
      () => this.next(vcpu),
      (exit) => isPort(exit, DONE_PORT),
      { what },
    ).before;
  }
}
