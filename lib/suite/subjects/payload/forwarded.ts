/** The exits of writes that a guest of its own makes, and the values that the checks share. */
import { encodeIcr, encodeIcr2, type IcrFields } from '../../../abi/apic/icr.ts';
import type { lapicRegisters } from '../../../abi/apic/lapic.ts';
import { flat32, type Instruction, out8, write32 } from '../../../guest/bytes.ts';
import type { CheckContext } from '../../kit/context.ts';
import { Driver } from '../../kit/drive.ts';
import { type ForwardedExit, forwardedExits, writeOf } from '../../kit/forwarded-writes.ts';
import { at, DONE_PORT, icr, icr2, type LapicWrite } from '../../kit/guests.ts';
import { withoutRepeats } from '../../kit/rows.ts';
import { HOOK } from '../../kit/sources.ts';

export const ICR_FIELDS = `${HOOK}; SDM vol. 3 11.6.1`;

/** No vCPU has it: what is sent there changes nothing. */
export const ABSENT = 0x77;

/** For what has a row for each of 256. */
export const TABLE = '60s';

/** No exception, and no vector of the PIC. */
export const VECTOR = 0xf0;

/** Where a guest leaves after a first write that no claim is about. */
export const PRIMED_PORT = 0x11;

/** Written first; its destination is 0, as it is after reset. */
export const PRIME = 0x00c0_ffee;
export const ICR2_ADDRESS = at('ICR2');

export const toAbsent = icr2(encodeIcr2({ destination: ABSENT }));
export const send = (fields: IcrFields): LapicWrite => icr(encodeIcr(fields));

export interface SenderSetup {
  vcpus?: number;
  /** Of vCPU 0, before it runs. */
  registers?: Partial<Record<keyof typeof lapicRegisters, number>>;
}

/**
 * What a machine of its own tells of the last of these instructions' writes: after a write that no claim is about, and
 * each once.
 */
export async function exitsOf(
  ctx: CheckContext,
  code: readonly Instruction[],
  setup: SenderSetup = {},
): Promise<ForwardedExit[]> {
  const machine = await ctx.machine({ apic: 'xapic', vcpus: setup.vcpus ?? 1 });
  const { vcpu } = machine.vcpu(0);
  if (setup.registers) vcpu.setLapicRegisters(setup.registers);
  machine.vcpu(0).program(flat32(write32(ICR2_ADDRESS, PRIME), out8(PRIMED_PORT), ...code, out8(DONE_PORT)));
  const driver = new Driver(ctx, machine);
  driver.until(PRIMED_PORT);
  const exits = forwardedExits(driver.untilDone()).filter(({ val, val2 }) => val !== PRIME && val2 !== PRIME);
  return withoutRepeats(exits);
}

/** As `exitsOf`, of plain writes. */
export function forwarded(
  ctx: CheckContext,
  writes: readonly LapicWrite[],
  setup: SenderSetup = {},
): Promise<ForwardedExit[]> {
  return exitsOf(
    ctx,
    writes.map(({ register, value }) => write32(at(register), value)),
    setup,
  );
}

export const of = (register: 'ICR' | 'ICR2', exits: readonly ForwardedExit[]) =>
  exits.filter((exit) => writeOf(exit)?.register === register);
