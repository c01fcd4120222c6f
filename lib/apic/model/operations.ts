/** What can be done to a machine, one at a time. */
import type { LapicRegisterName } from '../../abi/apic/lapic.ts';
import type { ApicMode } from '../mode.ts';

/** What a guest does on the vCPU `on`; its interrupts come before it and behind it. */
export type GuestOperation = { readonly on: number } & (
  | { readonly do: 'write'; readonly register: LapicRegisterName; readonly value: number }
  | { readonly do: 'read'; readonly register: LapicRegisterName }
  | { readonly do: 'wrmsr'; readonly msr: number; readonly low: number; readonly high: number }
  | { readonly do: 'rdmsr'; readonly msr: number }
  | { readonly do: 'writeCr8'; readonly value: number }
  | { readonly do: 'readCr8' | 'sti' | 'cli' | 'hlt' | 'nop' | 'cpuid' }
);

/** What user space does. */
export type HostOperation =
  | { readonly do: 'msi'; readonly addressLo: number; readonly data: number }
  | { readonly do: 'nmi'; readonly on: number }
  | { readonly do: 'setLapic'; readonly on: number; readonly register: LapicRegisterName; readonly value: number }
  | { readonly do: 'restore'; readonly on: number }
  | { readonly do: 'setBase'; readonly on: number; readonly mode: ApicMode }
  | { readonly do: 'handlers'; readonly on: number; readonly eoi: boolean };

export type Operation = GuestOperation | HostOperation;

const hostOperations = ['msi', 'nmi', 'setLapic', 'restore', 'setBase', 'handlers'];

export const isGuests = (operation: Operation): operation is GuestOperation => !hostOperations.includes(operation.do);

/** A forwarded write: of a register of the page, or of SELF IPI; of the x2APIC's ICR; of IA32_APIC_BASE. */
export type ExitSeen =
  | { id: number; val: number; val2: number; destId: number }
  | { id: number; low: number; high: number }
  | { id: number; base: number };

/** What an operation shows at once, beside the state that it leaves. */
export interface StepSeen {
  exits: ExitSeen[];
  /** Vectors whose handlers ran, in their order. */
  handled: number[];
  /** What was read: bits 31:0 and 63:32. */
  result: { low: number; high: number } | null;
  /** How the guest's part ended: at its end, or by an INIT to itself, or asleep. */
  ended: 'done' | 'init' | 'asleep' | null;
  /** KVM_SIGNAL_MSI: whether somebody took it. */
  delivered: boolean | null;
}
