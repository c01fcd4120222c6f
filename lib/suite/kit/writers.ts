/** Guests that write ICR and ICR2, each time another value, and what came out of them. */
import { encodeIcr, encodeIcr2 } from '../../abi/apic/icr.ts';
import type { Exit } from '../../exit/exit.ts';
import { flat32, type Instruction, out8 } from '../../guest/bytes.ts';
import type { Machine, MachineOptions } from '../../script/machine/machine.ts';
import type { ProgramOptions } from '../../script/machine/vcpu.ts';
import type { CheckContext } from './context.ts';
import { Driver } from './drive.ts';
import { type ForwardedWrite, forwardedWrites } from './forwarded-writes.ts';
import { DONE_PORT, icr, icr2, type LapicWrite, writeInstruction } from './guests.ts';
import { sameRows } from './rows.ts';

/** For other exits: these ports, from here on, belong to no device. */
export const OTHER_PORT = 0x12;
/** No memory is there: an access is an exit. */
export const DEVICE = 0xd000_0000;
/** Where a guest leaves after a first write that no claim is about. */
const PRIMED_PORT = 0x11;
/** No APIC id of a VM here, nor a multiple of one: 0x70 to 0xd2 are the other writes'. */
const PRIME = icr2(encodeIcr2({ destination: 0xd3 }));
const FIRST_VECTOR = 0x20;

export const range = (count: number) => Array.from({ length: count }, (_, n) => n);

/** The n-th ICR2 write of a guest, to no APIC id of the VM: they all differ. n from 0 to 98. */
export const nth = (n: number): LapicWrite => icr2(encodeIcr2({ destination: 0x70 + n }));

/** The n-th ICR write of a guest, to nobody: a logical id, and no vCPU has any. They all differ. n from 0 to 223. */
export const nthSend = (n: number): LapicWrite =>
  icr(encodeIcr({ vector: FIRST_VECTOR + n, destinationMode: 'logical' }));

/** Writes of both registers by turns. */
export const byTurns = (count: number): LapicWrite[] => range(count).map((n) => (n % 2 === 0 ? nth(n) : nthSend(n)));

/** A machine whose vCPUs have a program each, and their first write, which no claim is about, behind them. */
export async function primedMachine(
  ctx: CheckContext,
  codes: readonly (readonly Instruction[])[],
  options: MachineOptions & { program?: ProgramOptions } = {},
): Promise<{ machine: Machine; drivers: Driver[] }> {
  const { program, ...rest } = options;
  const machine = await ctx.machine({ apic: 'xapic', vcpus: codes.length, ...rest });
  const drivers = codes.map((code, id) => {
    machine.vcpu(id).program(programOf(code), program);
    const driver = new Driver(ctx, machine, id);
    driver.until(PRIMED_PORT);
    return driver;
  });
  return { machine, drivers };
}

/** The only vCPU of such a machine. */
export async function primed(
  ctx: CheckContext,
  code: readonly Instruction[],
  program?: ProgramOptions,
): Promise<Driver> {
  const { drivers } = await primedMachine(ctx, [code], program && { program });
  return drivers[0]!;
}

const opening = [writeInstruction(PRIME), out8(PRIMED_PORT)];

const programOf = (code: readonly Instruction[]) => flat32(...opening, ...code, out8(DONE_PORT));

/** Bytes from a program's begin to the code that a check gives for it. */
export const CODE_OFFSET = flat32(...opening).bytes.length;

/** The writes that exits tell of, without the first one. */
export function writesIn(exits: Iterable<Exit>): ForwardedWrite[] {
  return forwardedWrites(exits).filter(({ value }) => value !== PRIME.value);
}

/** Throws CheckError unless each of these writes came out as often as it is there, in whatever order, and no other did. */
export function checkEachOnce(exits: Iterable<Exit>, writes: readonly LapicWrite[], of = ''): void {
  const seen = writesIn(exits);
  const keys = new Map([...writes, ...seen].map((write) => [keyOf(write), write]));
  const rows = (list: readonly (LapicWrite | ForwardedWrite)[]) => {
    const counts = new Map<string, number>();
    for (const one of list) counts.set(keyOf(one), (counts.get(keyOf(one)) ?? 0) + 1);
    return [...keys].map(([key, { register, value }]) => ({ register, value, times: `${counts.get(key) ?? 0} times` }));
  };
  sameRows(`the writes${of}`, rows(seen), rows(writes));
}

const keyOf = ({ register, value }: LapicWrite | ForwardedWrite) => `${register} ${value}`;

/** Answers a read from DEVICE, which is the last exit: struct kvm_run, mmio.data. */
export function answer({ vcpu }: Pick<Driver, 'vcpu'>, value: number): void {
  vcpu.kvmRun.setUint32(MMIO_DATA, value, true);
}

const MMIO_DATA = 40;
