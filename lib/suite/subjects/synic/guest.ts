/** A vCPU with SynIC, and what comes out of it. */

import { encodeSint, hypervMsrs, SINTS, type Sint } from '../../../abi/hyperv.ts';
import type { Exit } from '../../../exit/exit.ts';
import { flat32, type Instruction, nop, out8 } from '../../../guest/bytes.ts';
import { connectSints, type SintLine } from '../../../hyperv/sint-line.ts';
import type { Machine, MachineOptions } from '../../../script/machine/machine.ts';
import type { ProgramOptions } from '../../../script/machine/vcpu.ts';
import { addEsp4, incMemory, iretd, skipTwoBytes } from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
import { Driver } from '../../kit/drive.ts';
import { DONE_PORT } from '../../kit/guests.ts';
import { capability } from '../../kit/needs.ts';
import { words, writeMsr } from '../../kit/senders.ts';
import { OTHER_PORT, range } from '../../kit/writers.ts';

export const HYPERV = 'arch/x86/kvm/hyperv.c';
export const TLFS = 'Hyper-V TLFS, Synthetic Interrupt Controller';
export const API = 'Documentation/virt/kvm/api.rst';
export const LONG = '30s';

export const offered = capability('KVM_CAP_HYPERV_SYNIC2');
export const { SCONTROL, SIMP, SIEFP, EOM, SINT0 } = hypervMsrs;

export const setSint = (sint: number, fields: Sint) => writeMsr(SINT0 + sint, encodeSint(fields));
export const vectorOf = (sint: number) => 0x41 + 0xb * sint;
export const allSints = range(SINTS);

export interface Prepared {
  machine: Machine;
  drivers: readonly Driver[];
  /** What the vCPUs made before their turn was over. */
  exits: readonly Exit[];
}

/** Where the check has its turn: an interrupt that it signals is taken right after it. */
export const pause = out8(DONE_PORT);

/** A machine whose vCPUs have run up to their `pause`, or to their end if they have none. */
export async function prepared(
  ctx: CheckContext,
  codes: readonly (readonly Instruction[])[],
  options: MachineOptions & { program?: (machine: Machine) => ProgramOptions } = {},
): Promise<Prepared> {
  const { program, ...rest } = options;
  const machine = await ctx.machine({ vcpus: codes.length, apic: 'xapic', synic: 'keep', ...rest });
  const exits: Exit[] = [];
  const drivers = codes.map((code, id) => {
    machine.vcpu(id).program(flat32(...code, nop, nop, out8(OTHER_PORT)), program?.(machine));
    const driver = new Driver(ctx, machine, id);
    exits.push(...driver.until(code.includes(pause) ? DONE_PORT : OTHER_PORT));
    return driver;
  });
  return { machine, drivers, exits };
}

/** On with a vCPU that waits at `pause`, up to its end. */
export const goOn = ({ drivers }: Prepared, vcpu = 0) => drivers[vcpu]!.until(OTHER_PORT);

export const forwarded = (exits: readonly Exit[]) =>
  exits.filter(({ name }) => name === 'KVM_EXIT_DSM_SEND_IRQ').length;

/** One line of each vCPU for this SINT. They are taken away after the check. */
export function linesOf(ctx: CheckContext, machine: Machine, sints: readonly number[]): SintLine[] {
  const ends = machine.vcpus.flatMap((vcpu) => sints.map((sint) => ({ synic: vcpu.synic, sint })));
  return connectSints(machine.vm, ends).map((line) => ctx.own(line));
}

export const acknowledged = (line: SintLine) => Number(line.acknowledged?.read() ?? 0n);

/** Counts #GP at `shared` and goes on behind the instruction, which has two bytes: WRMSR. */
export function countFaults({ memory, shared }: Machine): ProgramOptions {
  const at = shared + 0x100;
  memory.write(at, flat32(incMemory(shared), addEsp4, skipTwoBytes, iretd).bytes);
  return { handlers: { 13: at } };
}

export const faultsOf = (machine: Machine) => words(machine, machine.shared, 1)[0];
