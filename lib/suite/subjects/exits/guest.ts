/** Machines with some of the exits on, and what comes out of them. */
import { encodeX2Icr } from '../../../abi/apic/icr.ts';
import type { Exit, ExitName, ExitOf } from '../../../exit/exit.ts';
import { flat32, hlt, type Instruction, mov32, out8, wrmsr } from '../../../guest/bytes.ts';
import { enableReservedExits, type ReservedExitName } from '../../../probe/reserved-exits.ts';
import type { Machine, MachineOptions } from '../../../script/machine/machine.ts';
import type { CheckContext } from '../../kit/context.ts';
import { Driver } from '../../kit/drive.ts';
import { DONE_PORT } from '../../kit/guests.ts';

export const EXTENSION = 'kernel/rfc-v2/arch/x86/kvm/dsm_exit.c';
export const ALL = ['KVM_EXIT_DAPIC', 'KVM_EXIT_DSM_X2_ICR', 'KVM_EXIT_DSM_APIC_BASE'] as const;

/** The vCPU whose guest acts. Not 0, which is what a mistake makes of much. */
export const ACTOR = 1;

/** The bit of an opt-in that an exit needs. */
const optInOf: Readonly<Partial<Record<ReservedExitName, string>>> = {
  KVM_EXIT_DSM_X2_ICR: 'ICR',
  KVM_EXIT_DSM_APIC_BASE: 'BASE',
};

/** A machine whose VM makes these exits: by the profile's opt-in, or by the lab kernel's extension. */
export async function machineWith(
  ctx: CheckContext,
  which: readonly ReservedExitName[],
  options: MachineOptions,
): Promise<Machine> {
  if (ctx.profile.optIn) {
    const optIn = which.flatMap((name) => optInOf[name] ?? []);
    return await ctx.machine({ vcpus: 3, ...options, optIn });
  }
  using _ = enableReservedExits(which);
  return await ctx.machine({ vcpus: 3, ...options });
}

/** What the actor exits with before the end of this program. */
export function exitsOf(ctx: CheckContext, machine: Machine, code: readonly Instruction[]): Exit[] {
  machine.vcpu(ACTOR).program(flat32(...code, out8(DONE_PORT)));
  return new Driver(ctx, machine, ACTOR).untilDone();
}

export const named = <N extends ExitName>(exits: readonly Exit[], name: N) =>
  exits.filter((exit): exit is ExitOf<N> => exit.name === name);

/** Exit 45 is the claim of others. */
export const names = (exits: readonly Exit[]) =>
  exits.map(({ name }) => name).filter((name) => (ALL as readonly string[]).includes(name));

export function writeMsr(index: number, value: bigint): Instruction[] {
  const low = Number(value & 0xffff_ffffn);
  return [mov32('ecx', index), mov32('eax', low), mov32('edx', Number(value >> 32n)), wrmsr];
}

/** The first goes the way that KVM keeps for IPIs to one vCPU, the others do not. */
export const icrs = [
  encodeX2Icr({ vector: 0x71, destination: 2 }),
  encodeX2Icr({ vector: 0x72, destination: 0b101, destinationMode: 'logical' }),
  encodeX2Icr({ vector: 0, destination: 2, deliveryMode: 'nmi' }),
  encodeX2Icr({ vector: 0x73, destination: 0, shorthand: 'allExcludingSelf' }),
  encodeX2Icr({ vector: 0x74, destination: 0x1234_5678 }),
  encodeX2Icr({ vector: 0x75, destination: 0xffff_ffff, deliveryMode: 'lowestPriority' }),
];

/** Of a WRMSR that ends in #GP, whose handler leaves. */
export function exitsOfFault(ctx: CheckContext, machine: Machine, index: number, value: bigint): Exit[] {
  const code = [...writeMsr(index, value), hlt];
  const handler = machine.vcpu(ACTOR).entry + lengthOf(code);
  machine.vcpu(ACTOR).program(flat32(...code, out8(DONE_PORT)), { handlers: { 13: handler } });
  return new Driver(ctx, machine, ACTOR).untilDone();
}

export const lengthOf = (code: readonly Instruction[]) => code.reduce((sum, bytes) => sum + bytes.length, 0);
