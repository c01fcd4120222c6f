/** What arrived of a replay, a guest that takes it, and the answers that are known to be wrong. */
import { encodeX2Icr, type X2IcrFields } from '../../../abi/apic/icr.ts';
import { flat32, nop, out8 } from '../../../guest/bytes.ts';
import type { Machine } from '../../../script/machine/machine.ts';
import type { Shortfall } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { Driver } from '../../kit/drive.ts';
import { DONE_PORT } from '../../kit/guests.ts';
import { asPosted } from '../../kit/profiles.ts';
import type { Arrived } from '../../kit/replay.ts';

export const PATCH = 'patch 3/3, arch/x86/kvm';
export const IPI = `${PATCH}: KVM_DSM_IPI`;
export const ERRORS = 'Documentation/virt/kvm/api.rst: an ioctl that fails returns -1';
export const ABSENT = 0x77;

export const x2 = (fields: X2IcrFields): bigint => encodeX2Icr(fields);

export const somethingCame = (ctx: CheckContext, arrived: readonly Arrived[]) =>
  ctx.ok(
    arrived.some(({ irr, nmi, smi, cs }) => irr !== '' || nmi || smi || (cs !== 0 && cs !== 0xffff_0000)),
    'nothing arrived at any vCPU, by neither way',
  );

export interface Row<W> {
  word: string;
  claim: string;
  writes: readonly W[];
  setup?: (machine: Machine) => void;
  /** Nothing is to arrive. */
  vain?: boolean;
  shortfall?: Shortfall;
}

/** How often each handler ran. */
export const handled = (machine: Machine, id: number) => [...machine.vcpu(id).interrupts].sort(([a], [b]) => a - b);
export const VECTORS = Array.from({ length: 64 }, (_, at) => 0x40 + at);

/** A guest that takes what is pending, and leaves. */
export const taker = flat32(nop, nop, out8(DONE_PORT));

export function runTaker(ctx: CheckContext, machine: Machine, id: number): void {
  machine.vcpu(id).program(taker);
  new Driver(ctx, machine, id).untilDone();
}

/** Fails with the answer that a shortfall is known by. */
export function refused(ctx: CheckContext, what: string, answer: string): void {
  if (answer === '0') ctx.fail(`${what} answered 0`);
  // Nothing has set it: it says neither that the ioctl did what it was asked for nor that it did not.
  if (/^-?\d/.test(answer)) ctx.fail(`${what} answered ${answer}, which is no error`);
}

export const swallowed = (reason: string, source: string): Shortfall => ({
  profiles: asPosted,
  reason,
  source,
  cause: /answered (?:0|-?\d+, which is no error)/,
});

/** Of the replay of an IPI of `vcpuId` to APIC id 2: where it is pending. */
export function pendingOf(machine: Machine, vector: number): number[] {
  return machine.vcpus.filter(({ vcpu }) => vcpu.lapic().irr.includes(vector)).map(({ id }) => id);
}
