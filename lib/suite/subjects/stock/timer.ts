/** The local APIC's timer, in each of its modes: it interrupts as it should, and is no IPI that would be told of. */
import { flat32, hlt, type Instruction, out8, spin, sti, write32 } from '../../../guest/bytes.ts';
import { showTscDeadline } from '../../../kvm/cpuid.ts';
import type { Trace } from '../../../script/expect/trace.ts';
import type { Machine } from '../../../script/machine/machine.ts';
import { type Check, table } from '../../check.ts';
import { jmpBack } from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
import { at, DONE_PORT, runUntilDone } from '../../kit/guests.ts';
import { hardwareVirtualization } from '../../kit/needs.ts';
import { keep, words, writeMsr } from '../../kit/senders.ts';
import { KVM } from './target.ts';

const VECTOR = 0x51;
/** Bits 18:17 and 16 of LVT_TIMER. Source: SDM vol. 3 11.5.1. */
const ONE_SHOT = 0;
const PERIODIC = 1 << 17;
const TSC_DEADLINE = 2 << 17;
const MASKED = 1 << 16;
/** TDCR: the count goes down at KVM's bus clock, once in a nanosecond, or slower by that. */
const BY_1 = 0xb;
const BY_2 = 0;
const BY_128 = 0xa;
const IA32_TSC = 0x10;
const IA32_TSC_DEADLINE = 0x6e0;
/** Half a millisecond. */
const SOON = 500_000;
/** It is still on its way at the end of any check. */
const LATER = 0xffff_ffff;
/** Some milliseconds of any CPU's TSC. */
const SOME_TICKS = 20_000_000n;

/** Current counts that a periodic timer cannot have, or has only at its end. */
const restored = [
  ['over', 'of 0', 0],
  ['beyond', 'beyond its initial one', LATER],
] as const;

type MachineGiven = Parameters<CheckContext['machine']>[0];
type Code = (machine: Machine) => readonly Instruction[];

/** Runs a guest that begins with its interrupts off, until the end of its code; nothing that it does may be forwarded. */
async function runTimer(ctx: CheckContext, code: Code, options: MachineGiven = {}): Promise<Machine> {
  const machine = await ctx.machine({ apic: 'xapic', ...options });
  machine.vcpu(0).program(flat32(...code(machine), out8(DONE_PORT)), { interrupts: false });
  return notForwarded(ctx, machine, await runUntilDone(machine));
}

/** The same, until the timer has interrupted so often. It spins meanwhile: what comes before a HLT does not wake it. */
async function interrupted(ctx: CheckContext, times: number, code: Code, options: MachineGiven = {}): Promise<Machine> {
  const machine = await ctx.machine({ apic: 'xapic', ...options });
  machine.vcpu(0).program(flat32(...code(machine), sti, spin), { interrupts: false });
  return notForwarded(ctx, machine, await machine.run({ until: { handled: VECTOR, vcpu: 0, count: times } }));
}

function notForwarded(ctx: CheckContext, machine: Machine, trace: Trace): Machine {
  ctx.equal('the forwarded writes', trace.named('KVM_EXIT_DSM_SEND_IRQ').length, 0);
  return machine;
}

const timer = (mode: number): Instruction => write32(at('LVT_TIMER'), mode | VECTOR);
const divide = (by: number): Instruction => write32(at('TDCR'), by);
const count = (initial: number): Instruction => write32(at('TMICT'), initial);
const handled = (machine: Machine): number => machine.vcpu(0).interrupts.get(VECTOR) ?? 0;

export const timerChecks: Check[] = [
  {
    id: 'stock.timer.one-shot',
    claim: 'A timer that counts once interrupts once, stands at 0 then, and makes no exit of the series',
    source: 'SDM vol. 3 11.5.4',
    needs: [hardwareVirtualization],
    async run(ctx) {
      const machine = await interrupted(ctx, 1, () => [divide(BY_1), timer(ONE_SHOT), count(SOON)]);
      const { TMCCT } = machine.vcpu(0).vcpu.lapic().registers;
      ctx.equal('interrupts, current count', [handled(machine), TMCCT], [1, 0]);
    },
  },
  {
    id: 'stock.timer.periodic',
    claim: 'A periodic timer interrupts again and again',
    source: 'SDM vol. 3 11.5.4',
    needs: [hardwareVirtualization],
    async run(ctx) {
      const machine = await interrupted(ctx, 5, () => [divide(BY_1), timer(PERIODIC), count(SOON)]);
      ctx.ok(handled(machine) >= 5, `it interrupted ${handled(machine)} times`);
    },
  },
  {
    id: 'stock.timer.counts',
    claim: 'A guest that reads the current count sees it go down, though the timer is masked',
    source: 'SDM vol. 3 11.5.4',
    async run(ctx) {
      const machine = await runTimer(ctx, ({ shared }) => [
        divide(BY_2),
        timer(ONE_SHOT | MASKED),
        count(LATER),
        ...keep('TMCCT', shared),
        ...keep('TMCCT', shared + 4),
      ]);
      const [first = 0, second = 0] = words(machine, machine.shared, 2);
      ctx.ok(
        LATER > first && first >= second && second > 0,
        `the current count was ${first}, then ${second}, of ${LATER}`,
      );
      ctx.equal('interrupts', handled(machine), 0);
    },
  },
  {
    id: 'stock.timer.divided',
    claim: 'A timer whose divisor is changed while it counts goes on from where it is, and interrupts',
    source: `SDM vol. 3 11.5.4; ${KVM}: update_target_expiration`,
    needs: [hardwareVirtualization],
    async run(ctx) {
      const machine = await interrupted(ctx, 1, () => [
        divide(BY_128),
        timer(ONE_SHOT),
        // So slowly that it still counts when the divisor changes.
        count(10 * SOON),
        divide(BY_1),
      ]);
      ctx.equal('interrupts', handled(machine), 1);
    },
  },
  {
    id: 'stock.timer.mode',
    claim: 'A timer that counts is stopped by a change to TSC-deadline mode, and its initial count is 0 then',
    source: `SDM vol. 3 11.5.4.1; ${KVM}: apic_update_lvtt`,
    async run(ctx) {
      const machine = await runTimer(ctx, () => [divide(BY_1), timer(ONE_SHOT), count(LATER), timer(TSC_DEADLINE)], {
        cpuid: showTscDeadline,
      });
      const { TMICT, TMCCT } = machine.vcpu(0).vcpu.lapic().registers;
      ctx.equal('initial count, current count', [TMICT, TMCCT], [0, 0]);
    },
  },
  {
    id: 'stock.timer.deadline',
    claim: 'A timer with a deadline interrupts once when the TSC has come to it, and the deadline is 0 then',
    source: 'SDM vol. 3 11.5.4.1',
    needs: [hardwareVirtualization],
    async run(ctx) {
      const machine = await interrupted(
        ctx,
        1,
        ({ vcpus: [one] }) => [
          timer(TSC_DEADLINE),
          ...writeMsr(IA32_TSC_DEADLINE, one!.vcpu.getMsr(IA32_TSC) + SOME_TICKS),
        ],
        { cpuid: showTscDeadline },
      );
      const { vcpu } = machine.vcpu(0);
      ctx.equal('interrupts, deadline', [handled(machine), vcpu.getMsr(IA32_TSC_DEADLINE)], [1, 0n]);
    },
  },
  {
    id: 'stock.timer.past',
    claim: 'A deadline that is over already interrupts at once',
    source: 'SDM vol. 3 11.5.4.1',
    needs: [hardwareVirtualization],
    async run(ctx) {
      const machine = await interrupted(ctx, 1, () => [timer(TSC_DEADLINE), ...writeMsr(IA32_TSC_DEADLINE, 1n)], {
        cpuid: showTscDeadline,
      });
      ctx.equal('interrupts', handled(machine), 1);
    },
  },
  {
    id: 'stock.timer.shortest',
    claim: 'A period that is shorter than the host allows keeps neither the guest nor the host from going on',
    source: `Documentation/admin-guide/kernel-parameters.txt: kvm.min_timer_period_us; ${KVM}: limit_periodic_timer_frequency`,
    needs: [hardwareVirtualization],
    async run(ctx) {
      const machine = await interrupted(ctx, 5, () => [divide(BY_1), timer(PERIODIC), count(1)]);
      ctx.ok(handled(machine) >= 5, `it interrupted ${handled(machine)} times`);
    },
  },
  {
    id: 'stock.timer.wakes',
    claim: 'A timer wakes a vCPU that is halted, again and again',
    source: `SDM vol. 3 11.5.4; ${KVM}: kvm_lapic_switch_to_sw_timer`,
    needs: [hardwareVirtualization],
    async run(ctx) {
      const machine = await ctx.machine({ apic: 'xapic' });
      const sleep = [sti, hlt];
      const length = sleep.reduce((sum, one) => sum + one.length, 0);
      const start = [divide(BY_1), timer(PERIODIC), count(SOON)];
      machine.vcpu(0).program(flat32(...start, ...sleep, jmpBack(length)), { interrupts: false });
      notForwarded(ctx, machine, await machine.run({ until: { handled: VECTOR, vcpu: 0, count: 3 } }));
    },
  },
  ...table(restored, ([word, what, TMCCT]) => ({
    id: `stock.timer.restored-${word}`,
    claim: `A periodic timer that KVM_SET_LAPIC restores with a current count ${what} goes on with its period`,
    source: `${KVM}: set_target_expiration`,
    needs: [hardwareVirtualization],
    async run(ctx: CheckContext) {
      const machine = await ctx.machine({ apic: 'xapic' });
      const { vcpu } = machine.vcpu(0);
      // So slowly that what is left of the longest count takes minutes, and a period as long as elsewhere.
      vcpu.setLapicRegisters({ TDCR: BY_128, LVT_TIMER: PERIODIC | VECTOR, TMICT: Math.floor(SOON / 128), TMCCT });
      machine.vcpu(0).program(flat32(spin));
      notForwarded(ctx, machine, await machine.run({ until: { handled: VECTOR, vcpu: 0, count: 2 } }));
    },
  })),
];
