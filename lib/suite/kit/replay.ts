/** A replayed write against the same write of a guest. */
import { lapicRegisters } from '../../abi/apic/lapic.ts';
import { X2APIC_ICR } from '../../abi/apic/msr.ts';
import { flat32, type Instruction, mov32, out8, wrmsr } from '../../guest/bytes.ts';
import type { Machine, MachineOptions } from '../../script/machine/machine.ts';
import type { CheckContext } from './context.ts';
import { Driver } from './drive.ts';
import { DONE_PORT, type LapicWrite, lapicWriter } from './guests.ts';
import { sameRows } from './rows.ts';

/** The vCPU whose guest writes, or on whose LAPIC the write is replayed. Not 0, which is what a mistake makes of much. */
export const SOURCE = 1;

/** What an IPI may leave at a vCPU that does not run. */
export interface Arrived {
  vcpu: number;
  irr: string;
  tmr: string;
  nmi: number;
  smi: number;
  mpState: number;
  /** Where a SIPI sends it. */
  cs: number;
  /** What its ICR holds: of the source, the write. */
  icr: number;
  icr2: number;
}

/** Of each vCPU. Asking for the state has KVM take INIT and SIPI that are pending. */
export function arrivedAt(machine: Machine): Arrived[] {
  return machine.vcpus.map(({ id, vcpu }) => {
    const mpState = vcpu.getMpState();
    const { irr, tmr, registers } = vcpu.lapic();
    const { nmi, smi } = vcpu.getVcpuEvents();
    const words = (vectors: readonly number[]) => vectors.map((vector) => vector.toString(16)).join(' ');
    return {
      vcpu: id,
      irr: words(irr),
      tmr: words(tmr),
      nmi: nmi.pending,
      smi: smi.pending,
      mpState,
      cs: Number(vcpu.getSregs().cs.base),
      icr: registers.ICR,
      icr2: registers.ICR2,
    };
  });
}

/** How a write of the source's ICR gets there. */
export interface Way<W> {
  options: MachineOptions;
  /** The guest's code that makes them and leaves by DONE_PORT. */
  local(writes: readonly W[]): Parameters<ReturnType<Machine['vcpu']>['program']>[0];
  replay(machine: Machine, write: W): void;
}

/** Writes of ICR2 and ICR in xAPIC mode. */
export const xapic: Way<LapicWrite> = {
  options: { vcpus: 4, apic: 'xapic' },
  local: lapicWriter,
  replay(machine, { register, value }) {
    machine.dsmIpi({ vcpuId: SOURCE, val: lapicRegisters[register], val2: value });
  },
};

/** Writes of the 64-bit ICR in x2APIC mode. */
export const x2apic: Way<bigint> = {
  options: { vcpus: 4, apic: 'x2apic' },
  local: (values) => flat32(...values.flatMap(writeX2Icr), out8(DONE_PORT)),
  // Past what the method refuses: what the kernel does with it is the question.
  replay(machine, data) {
    machine.dsmX2apic({ vcpuId: SOURCE, data }, { insist: true });
  },
};

export function writeX2Icr(data: bigint): Instruction[] {
  const low = Number(data & 0xffff_ffffn);
  return [mov32('ecx', X2APIC_ICR), mov32('eax', low), mov32('edx', Number(data >> 32n)), wrmsr];
}

/**
 * That each of these groups of writes leaves the same at every vCPU, whether the source's guest made it or it was
 * replayed. `setup` is for both machines.
 */
export async function sameAsLocal<W>(
  ctx: CheckContext,
  way: Way<W>,
  writes: readonly W[],
  setup: (machine: Machine) => void = () => {},
  options: MachineOptions = {},
): Promise<Arrived[]> {
  const local = await ctx.machine({ ...way.options, ...options });
  setup(local);
  // IF = 0: what comes to the source itself stays pending.
  local.vcpu(SOURCE).program(way.local(writes), { interrupts: false });
  new Driver(ctx, local, SOURCE).untilDone();
  const replayed = await ctx.machine({ ...way.options, ...options });
  setup(replayed);
  // The same code is there, and does not run: only the state that it starts with counts.
  replayed.vcpu(SOURCE).program(way.local(writes), { interrupts: false });
  for (const write of writes) way.replay(replayed, write);
  ctx.effect('replayed writes', writes.length);
  const expected = arrivedAt(local);
  const actual = arrivedAt(replayed);
  sameRows('the vCPUs after the replay (vcpu, IRR, TMR, NMI, SMI, mp_state, CS base, ICR, ICR2)', actual, expected);
  return actual;
}
