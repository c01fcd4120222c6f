/** What user space may do between a write and its exit. */
import { IA32_APIC_BASE } from '../../../abi/apic/msr.ts';
import { mpStates } from '../../../abi/kvm/index.ts';
import { KvmRunView } from '../../../abi/kvm/kvm-run.ts';
import { DeadlineError } from '../../../base/errors.ts';
import type { Vcpu } from '../../../kvm/vcpu/vcpu.ts';
import type { Machine } from '../../../script/machine/machine.ts';
import { type Check, type Shortfall, table } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { Driver } from '../../kit/drive.ts';
import { icr, icr2, lapicWriter } from '../../kit/guests.ts';
import { forwarding } from '../../kit/needs.ts';
import { asPosted } from '../../kit/profiles.ts';
import { SLOT } from '../../kit/sources.ts';
import { enter, enterUntil, getEverything, isForwarded, program, RUN, ready, reset, VALUE } from './guest.ts';

/** Bytes of the write. */
const WRITE_LENGTH = 10;

/** A vCPU, 0 or another one, that has written, and whose exit is still to come: its single step is told first. */
async function pending(ctx: CheckContext, id = 0) {
  const machine = await ready(ctx);
  if (id !== 0) machine.vcpu(id).program(program);
  const { vcpu, entry } = machine.vcpu(id);
  const behind = BigInt(entry + WRITE_LENGTH);
  vcpu.debug({ singleStep: true });
  // Some machines tell of steps before the first instruction: two, where each way into the guest begins with an emulation.
  for (let step = 0; step < 4 && vcpu.getRegs().rip !== behind; step++)
    ctx.equal(`the exit of step ${step}`, enter(ctx, machine, id).name, 'KVM_EXIT_DEBUG');
  ctx.equal('RIP after the single step', vcpu.getRegs().rip, behind);
  vcpu.debug({});
  return machine;
}

/** More exits than one instruction makes. */
const MOST = 8;

/** The exits that KVM_RUN with immediate_exit makes until it answers EINTR. */
function drain(ctx: CheckContext, vcpu: Vcpu): string[] {
  const run = new KvmRunView(vcpu.kvmRun);
  const names: string[] = [];
  run.immediateExit = 1;
  try {
    for (;;) {
      const outcome = vcpu.runRaw('8s');
      if (outcome.kind === 'errno') {
        ctx.equal('the answer', outcome.name, 'EINTR');
        return names;
      }
      if (names.push(vcpu.exit().name) > MOST) ctx.fail(`it made ${MOST} exits and does not answer EINTR`);
    }
  } finally {
    run.immediateExit = 0;
  }
}

/** What user space may do to a vCPU while its exit is pending. */
const acts: readonly [word: string, what: string, source: string, act: (machine: Machine) => void][] = [
  ['get-state', 'reading all of its state', '4', ({ vcpus }) => getEverything(vcpus[0]!.vcpu)],
  ['set-regs', 'KVM_SET_REGS', '4.12', ({ vcpus }) => vcpus[0]!.vcpu.setRegs({ rbx: 1n })],
  [
    'set-sregs',
    'KVM_SET_SREGS',
    '4.14',
    ({ vcpus }) => {
      const { vcpu } = vcpus[0]!;
      vcpu.setSregs(vcpu.getSregs());
    },
  ],
  ['set-lapic', 'KVM_SET_LAPIC', '4.58', ({ vcpus }) => vcpus[0]!.vcpu.setLapicRegisters({ ICR2: 0 })],
  [
    'set-mp-state',
    'KVM_SET_MP_STATE',
    '4.39',
    ({ vcpus }) => vcpus[0]!.vcpu.setMpState(mpStates.KVM_MP_STATE_RUNNABLE),
  ],
  ['set-events', 'KVM_SET_VCPU_EVENTS', '4.32', ({ vcpus }) => vcpus[0]!.vcpu.setVcpuEvents({})],
  [
    'set-apic-base',
    'KVM_SET_MSRS of IA32_APIC_BASE',
    '4.18',
    ({ vcpus }) => {
      const { vcpu } = vcpus[0]!;
      vcpu.setMsr(IA32_APIC_BASE, vcpu.getMsr(IA32_APIC_BASE));
    },
  ],
  ['nmi', 'an NMI that waits', '4.64', ({ vcpus }) => vcpus[0]!.nmi()],
  ['reset', 'a reset by user space', '4', ({ vcpus }) => reset(vcpus[0]!.vcpu, vcpus[1]!.vcpu)],
];

/** INIT would make the boot CPU go on at its reset vector: it runs. */
const WRITER = 1;
const INIT = 0x4500;

const stuck: Shortfall = {
  profiles: asPosted,
  reason: 'the exit is stuck: it is made on the way into the guest, which a vCPU that is not runnable does not take',
  source: SLOT,
  cause: /^KVM_RUN does not return with the exit of a vCPU that is not runnable/,
};

/** Nothing is left to do that could take a KVM_RUN this long. */
const ENOUGH = '1s';

/** That KVM_RUN of the writer, which is not runnable, returns with the exit that is pending. */
function checkComes(ctx: CheckContext, machine: Machine): void {
  try {
    const { name } = machine.vcpu(WRITER).vcpu.run({ deadline: ENOUGH, profile: machine.profile });
    ctx.equal('the next exit', name, 'KVM_EXIT_DSM_SEND_IRQ');
  } catch (error) {
    if (!(error instanceof DeadlineError)) throw error;
    ctx.fail('KVM_RUN does not return with the exit of a vCPU that is not runnable');
  }
}

export const pendingChecks: Check[] = [
  ...table(acts, ([word, what, section, act]) => ({
    id: `state.pending.${word}`,
    claim: `The exit of a write that has been done comes after ${what}`,
    source: `${SLOT}; Documentation/virt/kvm/api.rst ${section}`,
    needs: [forwarding],
    async run(ctx: CheckContext) {
      const machine = await pending(ctx);
      act(machine);
      ctx.equal('the next exit', enter(ctx, machine).name, 'KVM_EXIT_DSM_SEND_IRQ');
    },
  })),
  {
    id: 'state.pending.value',
    claim: 'The exit tells what the guest wrote, though KVM_SET_LAPIC has changed ICR2 since',
    source: SLOT,
    needs: [forwarding],
    async run(ctx) {
      const machine = await pending(ctx);
      machine.vcpu(0).vcpu.setLapicRegisters({ ICR2: 0x3300_0000 });
      const exit = enterUntil(ctx, machine, isForwarded);
      ctx.equal('val2', exit.name === 'KVM_EXIT_DSM_SEND_IRQ' ? exit.val2 : null, VALUE);
    },
  },
  {
    id: 'state.pending.immediate-exit',
    claim:
      'With immediate_exit set, the exit comes before KVM_RUN answers EINTR, or with the KVM_RUN behind it: once; where it drains, before',
    source: `${SLOT}; ${RUN}: immediate_exit`,
    needs: [forwarding],
    async run(ctx) {
      const machine = await pending(ctx);
      const { vcpu } = machine.vcpu(0);
      const drained = drain(ctx, vcpu);
      const told = 'KVM_EXIT_DSM_SEND_IRQ';
      const early = ctx.profile.drains || drained.length > 0;
      ctx.equal('the exits that came before EINTR', drained, early ? [told] : []);
      ctx.equal('the next exit', enter(ctx, machine).name, early ? 'KVM_EXIT_IO' : told);
    },
  },
  {
    id: 'state.pending.signal',
    claim: 'A KVM_RUN with a signal pending makes the exit, or leaves it to the next one',
    source: `${SLOT}; Documentation/virt/kvm/api.rst 4.10: EINTR`,
    needs: [forwarding],
    async run(ctx) {
      const machine = await pending(ctx);
      const { vcpu } = machine.vcpu(0);
      const exit = vcpu.settle() ? vcpu.exit(machine.profile) : enter(ctx, machine);
      ctx.equal('the exit', exit.name, 'KVM_EXIT_DSM_SEND_IRQ');
    },
  },
  {
    id: 'state.pending.init',
    claim: 'KVM_RUN returns with the exit of a write that has been done though its vCPU has taken an INIT since',
    source: `${RUN}: pending operations; SDM vol. 3 11.6.1: INIT`,
    needs: [forwarding],
    shortfall: stuck,
    async run(ctx) {
      const machine = await pending(ctx, WRITER);
      machine.vcpu(0).program(lapicWriter([icr2(WRITER << 24), icr(INIT)]));
      new Driver(ctx, machine).untilDone();
      // It has KVM take the INIT.
      const mpState = machine.vcpu(WRITER).vcpu.getMpState();
      ctx.equal('mp_state after the INIT', mpState, mpStates.KVM_MP_STATE_INIT_RECEIVED);
      checkComes(ctx, machine);
    },
  },
  {
    id: 'state.pending.halted',
    claim:
      'KVM_RUN returns with the exit of a write that has been done though KVM_SET_MP_STATE has halted its vCPU since',
    source: `${RUN}: pending operations; Documentation/virt/kvm/api.rst 4.39`,
    needs: [forwarding],
    shortfall: stuck,
    async run(ctx) {
      const machine = await pending(ctx, WRITER);
      machine.vcpu(WRITER).vcpu.setMpState(mpStates.KVM_MP_STATE_HALTED);
      checkComes(ctx, machine);
    },
  },
  {
    id: 'state.pending.restored',
    claim: 'A vCPU that gets all the state of one with a pending exit makes that exit',
    source: 'Documentation/virt/kvm/api.rst 5: pending operations are complete before the state is saved',
    needs: [forwarding],
    shortfall: {
      profiles: asPosted,
      reason: 'the forward is lost: a pending exit is in no KVM_GET_*, and KVM_RUN with immediate_exit keeps it',
      source: SLOT,
      cause: /^the first exit of the restored vCPU is 'KVM_EXIT_IO'/,
    },
    async run(ctx) {
      const { vcpu: from } = (await pending(ctx)).vcpu(0);
      // What a VMM does before it saves.
      const drained = drain(ctx, from);
      const machine = await ready(ctx);
      const { vcpu: to } = machine.vcpu(0);
      to.setSregs(from.getSregs());
      to.setRegs(from.getRegs());
      to.setLapic(from.getLapic());
      to.setVcpuEvents(from.getVcpuEvents());
      to.setMpState(from.getMpState());
      const first = drained.includes('KVM_EXIT_DSM_SEND_IRQ') ? 'KVM_EXIT_IO' : 'KVM_EXIT_DSM_SEND_IRQ';
      ctx.equal('the first exit of the restored vCPU', enter(ctx, machine).name, first);
    },
  },
];
