/** What a vCPU has of its VM, and what the parts of a vCPU have of it. */
import type { DsmProfile } from '../../abi/dsm/profiles.ts';
import type { CapabilityName } from '../../abi/kvm/capability.ts';
import type { KvmRunView } from '../../abi/kvm/kvm-run.ts';
import type { RunBudget } from '../../base/budget.ts';
import type { DeskCalls } from '../desk.ts';
import type { KernelCalls } from '../handle.ts';
import type { IrqchipKind } from '../irqchip-kind.ts';
import type { NativeVcpu } from '../native.ts';

/** What a vCPU needs of its VM: a `Vm` makes it, so that a vCPU knows no `Vm`. */
export interface VcpuHost {
  /** Whose exits are meant: as the KVM device was opened with. */
  readonly profile: DsmProfile;
  /** What guests may take of this program's time. */
  readonly budget: RunBudget;
  /** True once a slot has memory: before that there is nothing to execute. */
  hasMemory(): boolean;
  /** KVM_CHECK_EXTENSION on the VM. */
  checkExtension(cap: CapabilityName | number): number;
  /** Which interrupt controllers the kernel has for the VM. */
  irqchip(): IrqchipKind;
}

/** The open vCPU, for its parts. Each call throws ClosedError, and VcpuBusyError while a thread has it in the guest. */
export interface OpenVcpu extends KernelCalls<NativeVcpu>, DeskCalls {
  readonly vcpuId: number;
  /** `native`, to enter the guest. Throws VcpuBusyError if the vCPU has a thread; NoMemoryError. */
  runnable(): NativeVcpu;
  /** kvm_run, in place. */
  run(): KvmRunView;
  /** KVM_CHECK_EXTENSION on the VM. */
  offered(cap: CapabilityName | number): number;
  /** Which interrupt controllers the kernel has for the VM. */
  irqchip(): IrqchipKind;
}

/** Who is told of KVM_RUN, on whichever thread it is called. */
export interface Entries {
  /** KVM_RUN is called next. `regs`: somebody reads the general registers that it leaves in kvm_run. */
  entering(regs?: boolean): void;
  /** KVM_RUN has come back with an exit, at this CLOCK_MONOTONIC time in ns. */
  exited(ns: number): void;
}

/** What a run needs of the vCPU that it runs. */
export interface RunningVcpu {
  readonly vcpuId: number;
  readonly profile: DsmProfile;
  /** Where it is, in one line for a person. */
  registerReport(): string;
}

/** What a run has of the program around it. */
export interface RunContext {
  /** Throws what `start()` throws: a getter of its options may have closed the vCPU, or started it. */
  refuse(): void;
  /** What guests may take of this program's time. */
  readonly budget: RunBudget;
  readonly entries: Entries;
  readonly kvmRun: DataView;
  /** KVM_RUN can leave the general registers in kvm_run: records have RIP. */
  readonly rip: boolean;
}
