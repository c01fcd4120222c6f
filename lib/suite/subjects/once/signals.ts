/** Writes among signals, immediate_exit and kicks. */

import { APIC_DEFAULT_PHYS_BASE } from '../../../abi/apic/lapic.ts';
import type { Exit } from '../../../exit/exit.ts';
import { hlt, type Instruction, mov32, sti } from '../../../guest/bytes.ts';
import type { VcpuRun } from '../../../kvm/vcpu/vcpu.ts';
import { type Check, table } from '../../check.ts';
import { CheckError } from '../../errors.ts';
import { movsd } from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
import { atOnce, type Driver, isPort } from '../../kit/drive.ts';
import { at, DONE_PORT, type LapicWrite, writeInstruction as write } from '../../kit/guests.ts';
import { forwarding } from '../../kit/needs.ts';
import { SLOT } from '../../kit/sources.ts';
import {
  answer,
  byTurns,
  checkEachOnce,
  DEVICE,
  nth,
  nthSend,
  primed,
  primedMachine,
  range,
} from '../../kit/writers.ts';

const EINTR = `${SLOT}; Documentation/virt/kvm/api.rst 4.10: EINTR`;
const IMMEDIATE = `${SLOT}; Documentation/virt/kvm/api.rst 5: immediate_exit`;
const STORM = '20s';
/** No exception, and no vector of the PIC. */
const VECTOR = 0xe0;

/** More exits than a guest makes before its first read. */
const ENOUGH = 8;

/** MOVSD from DEVICE to a register: KVM finishes it at the begin of the KVM_RUN that has the answer. */
export function moveTo(register: LapicWrite['register']): Instruction[] {
  return [mov32('esi', DEVICE), mov32('edi', at(register)), movsd];
}

/** Up to where a guest waits for what its MOVSD reads; the answer is there then. */
export function upToMove(driver: Driver, value: number): void {
  const came = range(ENOUGH).some(() => driver.next().name === 'KVM_EXIT_MMIO');
  if (!came) throw new CheckError(`${ENOUGH} exits, and none of the read`);
  answer(driver, value);
}

interface Interruption {
  word: string;
  /** Behind 'with' or 'is set'. */
  what: string;
  source: string;
  run(driver: Driver): Exit | string;
}

const interruptions: readonly Interruption[] = [
  { word: 'signal', what: 'a signal pending', source: EINTR, run: (driver) => driver.runWithSignal() },
  { word: 'immediate-exit', what: 'immediate_exit set', source: IMMEDIATE, run: (driver) => driver.runImmediateExit() },
];

const registers = [
  ['ICR2', nth(0)],
  ['ICR', nthSend(0)],
] as const;

const exitsOf = (...outcomes: readonly (Exit | string)[]): Exit[] =>
  outcomes.filter((outcome) => typeof outcome !== 'string');

export const signalChecks: Check[] = [
  ...table(interruptions, ({ word, what, source, run }) => ({
    id: `once.interrupted.${word}`,
    claim: `Each write comes out once though every KVM_RUN has one before it with ${what}`,
    source,
    needs: [forwarding],
    async run(ctx: CheckContext) {
      const writes = byTurns(16);
      const driver = await primed(ctx, writes.map(write));
      checkEachOnce(
        driver.untilDoneBehind(() => run(driver)),
        writes,
      );
    },
  })),
  {
    id: 'once.interrupted.halted',
    claim: 'A write before HLT does not come out again when signals end the KVM_RUN that waits there',
    source: `${EINTR}; SDM vol. 2, HLT`,
    needs: [forwarding],
    async run(ctx) {
      const code = [write(nth(0)), sti, hlt, write(nth(1))];
      const { machine, drivers } = await primedMachine(ctx, [code], { program: { interrupts: false } });
      const [driver] = drivers as [Driver];
      const seen = [driver.next()];
      for (let n = 0; n < 4; n++) seen.push(...exitsOf(driver.runWithSignal(), driver.runImmediateExit()));
      machine.signalMsi({ addressLo: APIC_DEFAULT_PHYS_BASE, addressHi: 0, data: VECTOR });
      checkEachOnce([...seen, ...driver.untilDone()], [nth(0), nth(1)]);
    },
  },
  ...table(
    interruptions.flatMap((interruption) => registers.map(([register, value]) => ({ interruption, register, value }))),
    ({ interruption: { word, what, source, run }, register, value: written }) => ({
      id: `once.finished.${word}.${register.toLowerCase()}`,
      claim: `A write of ${register} by an instruction that KVM_RUN finishes with ${what} comes out once`,
      source,
      needs: [forwarding],
      async run(ctx: CheckContext) {
        const driver = await primed(ctx, moveTo(register));
        upToMove(driver, written.value);
        checkEachOnce([...exitsOf(run(driver)), ...driver.untilDone()], [written]);
      },
    }),
  ),
  ...table(interruptions, ({ word, what, source, run }) => ({
    id: `once.finished.${word}.many`,
    claim: `Each write that KVM_RUN finishes with ${what} comes out once, for 12 in a row`,
    source,
    needs: [forwarding],
    async run(ctx: CheckContext) {
      const writes = byTurns(12);
      const driver = await primed(
        ctx,
        writes.flatMap(({ register }) => moveTo(register)),
      );
      let read = 0;
      const exits = driver.untilDoneBehind(() => {
        const early = run(driver);
        if (typeof early !== 'string') return early;
        const exit = driver.next();
        if (exit.name === 'KVM_EXIT_MMIO') answer(driver, writes[read++]!.value);
        return exit;
      });
      checkEachOnce(exits, writes);
    },
  })),
  {
    id: 'once.pending.immediate-exits',
    claim: 'A write that is still to be told of comes out once, after eight KVM_RUN with immediate_exit set',
    source: IMMEDIATE,
    needs: [forwarding],
    async run(ctx) {
      const driver = await primed(ctx, moveTo('ICR2'));
      upToMove(driver, nth(0).value);
      const early = range(8).flatMap(() => exitsOf(driver.runImmediateExit()));
      checkEachOnce([...early, ...driver.untilDone()], [nth(0)]);
    },
  },
  {
    id: 'once.pending.thread',
    claim: 'A write that is still to be told of comes out once when another thread enters the vCPU',
    source: `${SLOT}: the slot is the vCPU's`,
    // Of a process' first thread: seconds on an emulated CPU.
    deadline: STORM,
    needs: [forwarding],
    async run(ctx) {
      const { machine, drivers } = await primedMachine(ctx, [moveTo('ICR2')]);
      const [driver] = drivers as [Driver];
      upToMove(driver, nth(0).value);
      const early = exitsOf(driver.runImmediateExit());
      const [exits] = await atOnce(ctx, machine, DONE_PORT);
      checkEachOnce([...early, ...exits!], [nth(0)]);
    },
  },
  {
    id: 'once.kicks.burst',
    claim: 'Each write comes out once though the vCPU is kicked out of the guest again and again',
    source: EINTR,
    deadline: STORM,
    needs: [forwarding],
    async run(ctx) {
      const writes = byTurns(64);
      const { machine } = await primedMachine(ctx, [writes.map(write)]);
      const [exits] = await atOnce(ctx, machine, DONE_PORT, { kicks: true });
      checkEachOnce(exits!, writes);
    },
  },
  {
    id: 'once.kicks.finished',
    claim: 'Each write of an instruction that waited for user space comes out once though the vCPU is kicked meanwhile',
    source: EINTR,
    deadline: STORM,
    needs: [forwarding],
    async run(ctx) {
      const writes = byTurns(24);
      const { machine } = await primedMachine(ctx, [writes.flatMap(({ register }) => moveTo(register))]);
      let read = 0;
      const [exits] = await atOnce(ctx, machine, DONE_PORT, {
        look: (exit, vcpu) => {
          if (exit.name === 'KVM_EXIT_MMIO') answer({ vcpu }, writes[read++]!.value);
        },
        kicks: true,
      });
      checkEachOnce(exits!, writes);
    },
  },
  {
    id: 'once.kicks.stop',
    claim:
      'Each write comes out once though the thread that enters the vCPU ends at each exit, and another one goes on',
    source: `${EINTR}; Documentation/virt/kvm/api.rst 4.10`,
    deadline: STORM,
    needs: [forwarding],
    async run(ctx) {
      const writes = byTurns(12);
      const { machine } = await primedMachine(ctx, [writes.map(write)]);
      const { vcpu } = machine.vcpu(0);
      const seen: Exit[] = [];
      while (!seen.some((exit) => isPort(exit, DONE_PORT))) {
        const onExit = (exit: Exit, run: VcpuRun) => {
          ctx.exit(0, exit);
          seen.push(exit);
          run.askToStop();
        };
        await vcpu.start({ onExit, profile: ctx.profile }).ended();
      }
      checkEachOnce(seen, writes);
    },
  },
];
