/** What user space sees and changes between a guest's write and the resume behind its exit. */

import { IA32_APIC_BASE } from '../../abi/apic/msr.ts';
import { mpStates } from '../../abi/kvm/index.ts';
import { KvmRunView, RUN_UNION_OFFSET, RUN_UNION_SIZE } from '../../abi/kvm/kvm-run.ts';
import type { Exit } from '../../exit/decode.ts';
import { flat32, type Instruction, out8, write32 } from '../../guest/bytes.ts';
import type { Vcpu } from '../../kvm/vcpu/vcpu.ts';
import type { Machine, MachineOptions } from '../../script/machine/machine.ts';
import { restoreMachineState, saveMachineState } from '../../snapshot/machine-state.ts';
import { type Check, subject, table } from '../check.ts';
import type { CheckContext } from '../kit/context.ts';
import { isPort } from '../kit/drive.ts';
import { at, DONE_PORT } from '../kit/guests.ts';
import { capability, forwarding } from '../kit/needs.ts';
import { SLOT } from '../kit/sources.ts';

const RUN = 'Documentation/virt/kvm/api.rst 5';

/** What the guests write to ICR2: nobody has that APIC id, so that nothing else changes. */
const VALUE = 0x7700_0000;
const NEXT_PORT = 0x12;
const ELSEWHERE_PORT = 0x14;

/** One write, and two exits of the guest's own. */
const program = flat32(write32(at('ICR2'), VALUE), out8(NEXT_PORT), out8(DONE_PORT), out8(ELSEWHERE_PORT));
/** Bytes of the write. */
const WRITE_LENGTH = 10;
/** Bytes from the program's begin to its last `out`. */
const ELSEWHERE = 14;

/** One KVM_RUN of vCPU 0, or another one. */
function enter(ctx: CheckContext, machine: Machine, id = 0): Exit {
  const exit = machine.vcpu(id).vcpu.run({ deadline: '8s', profile: machine.profile });
  ctx.effect(`exit ${exit.name} of vCPU ${id}`);
  return exit;
}

const isForwarded = ({ name }: Exit) => name === 'KVM_EXIT_DSM_SEND_IRQ';

/** More exits than any of these guests makes. */
const ENOUGH = 6;

/** The next exit that is, or that is not, a forwarded write. */
function enterUntil(ctx: CheckContext, machine: Machine, wanted: (exit: Exit) => boolean): Exit {
  for (let count = 0; count < ENOUGH; count++) {
    const exit = enter(ctx, machine);
    if (wanted(exit)) return exit;
    if (isPort(exit, DONE_PORT)) ctx.fail('no such exit before the end of the program');
  }
  ctx.fail(`no such exit among ${ENOUGH}`);
}

/** Enough for one vCPU, in bytes: to save and restore more takes an emulated CPU seconds. */
const LITTLE_MEMORY = 128 << 10;

/** A vCPU 0 that is about to write. */
async function ready(ctx: CheckContext, options: MachineOptions = {}, first: readonly Instruction[] = []) {
  const machine = await ctx.machine({ vcpus: 2, apic: 'xapic', ...options });
  machine.vcpu(0).program(first.length > 0 ? flat32(...first, program.bytes) : program);
  return machine;
}

/** A vCPU 0 that is out of the guest with a forwarded write. */
async function atExit(ctx: CheckContext, prepare: (vcpu: Vcpu) => void = () => {}, first: readonly Instruction[] = []) {
  const machine = await ready(ctx, {}, first);
  prepare(machine.vcpu(0).vcpu);
  enterUntil(ctx, machine, isForwarded);
  return machine;
}

/** A vCPU 0 that has written, and whose exit is still to come: its single step is told first. */
async function pending(ctx: CheckContext) {
  const machine = await ready(ctx);
  const { vcpu, entry } = machine.vcpu(0);
  const behind = BigInt(entry + WRITE_LENGTH);
  vcpu.debug({ singleStep: true });
  // Some machines tell of a step before the first instruction.
  for (let step = 0; step < 2 && vcpu.getRegs().rip !== behind; step++)
    ctx.equal(`the exit of step ${step}`, enter(ctx, machine).name, 'KVM_EXIT_DEBUG');
  ctx.equal('RIP behind the single step', vcpu.getRegs().rip, behind);
  vcpu.debug({});
  return machine;
}

function getEverything(vcpu: Vcpu): void {
  vcpu.getRegs();
  vcpu.getSregs();
  vcpu.getLapic();
  vcpu.getMpState();
  vcpu.getVcpuEvents();
  vcpu.getMsr(IA32_APIC_BASE);
  vcpu.getFpu();
  vcpu.getDebugregs();
}

/** As after power-on, but for the APIC's mode and id. */
function reset(vcpu: Vcpu, fresh: Vcpu): void {
  const { apicBase } = vcpu.getSregs();
  vcpu.setSregs({ ...fresh.getSregs(), apicBase });
  vcpu.setRegs(fresh.getRegs());
  vcpu.setLapicRegisters({ SVR: 0xff, ICR: 0, ICR2: 0, TPR: 0 });
  vcpu.setMpState(mpStates.KVM_MP_STATE_RUNNABLE);
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

const survives: Check[] = [
  ...table(acts, ([word, what, section, act]) => ({
    id: `state.pending.${word}`,
    claim: `The exit of a write that has been done comes behind ${what}`,
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
    claim: 'A KVM_RUN with immediate_exit answers EINTR, and the exit comes with the next one',
    source: `${SLOT}; ${RUN}: immediate_exit`,
    needs: [forwarding],
    async run(ctx) {
      const machine = await pending(ctx);
      const { vcpu } = machine.vcpu(0);
      const run = new KvmRunView(vcpu.kvmRun);
      run.immediateExit = 1;
      const outcome = vcpu.runRaw('8s');
      run.immediateExit = 0;
      ctx.equal('the answer', outcome.kind === 'errno' ? outcome.name : outcome.kind, 'EINTR');
      ctx.equal('the next exit', enter(ctx, machine).name, 'KVM_EXIT_DSM_SEND_IRQ');
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
    id: 'state.pending.restored',
    claim: 'A vCPU that gets all the state of one with a pending exit makes that exit',
    source: 'Documentation/virt/kvm/api.rst 5: pending operations are complete before the state is saved',
    needs: [forwarding],
    shortfall: {
      reason: 'the forward is lost: a pending exit is in no KVM_GET_*, and KVM_RUN with immediate_exit keeps it',
      source: SLOT,
      cause: /^the first exit of the restored vCPU is 'KVM_EXIT_IO'/,
    },
    async run(ctx) {
      const { vcpu: from } = (await pending(ctx)).vcpu(0);
      // What a VMM does before it saves.
      const run = new KvmRunView(from.kvmRun);
      run.immediateExit = 1;
      from.runRaw('8s');
      run.immediateExit = 0;
      const machine = await ready(ctx);
      const { vcpu: to } = machine.vcpu(0);
      to.setSregs(from.getSregs());
      to.setRegs(from.getRegs());
      to.setLapic(from.getLapic());
      to.setVcpuEvents(from.getVcpuEvents());
      to.setMpState(from.getMpState());
      ctx.equal('the first exit of the restored vCPU', enter(ctx, machine).name, 'KVM_EXIT_DSM_SEND_IRQ');
    },
  },
];

/** A copy of kvm_run but for its sync area. */
const runBytes = (vcpu: Vcpu, from = 0, length = RUN_UNION_OFFSET + RUN_UNION_SIZE): number[] => [
  ...new Uint8Array(vcpu.kvmRun.buffer, vcpu.kvmRun.byteOffset + from, length),
];

const unionOf = (vcpu: Vcpu): number[] => runBytes(vcpu, RUN_UNION_OFFSET, RUN_UNION_SIZE);

function fill(vcpu: Vcpu, from: number, length: number): void {
  new Uint8Array(vcpu.kvmRun.buffer, vcpu.kvmRun.byteOffset + from, length).fill(0xa5);
}

/** sizeof(struct lapic_irq). */
const PAYLOAD_SIZE = 16;

const layout: Check[] = [
  {
    id: 'state.kvm-run.exit-reason',
    claim: 'kvm_run.exit_reason has the number of the exit, and kvm_run.flags is 0',
    source: 'patch 1/3, include/uapi/linux/kvm.h',
    needs: [forwarding],
    async run(ctx) {
      const machine = await ready(ctx);
      enter(ctx, machine);
      const { exitReason, flags } = new KvmRunView(machine.vcpu(0).vcpu.kvmRun);
      const expected = ctx.profile.exits.KVM_EXIT_DSM_SEND_IRQ.reason;
      ctx.equal('exit_reason and flags', { exitReason, flags }, { exitReason: expected, flags: 0 });
    },
  },
  {
    id: 'state.kvm-run.union',
    claim: 'Of the union the exit fills the 16 bytes of lapic_irq alone',
    source: 'patch 1/3, include/uapi/linux/kvm.h',
    needs: [forwarding],
    async run(ctx) {
      const { vcpu } = (await atExit(ctx, (made) => fill(made, RUN_UNION_OFFSET, RUN_UNION_SIZE))).vcpu(0);
      const rest = unionOf(vcpu).slice(PAYLOAD_SIZE);
      ctx.equal('how many of the other bytes have changed', rest.filter((byte) => byte !== 0xa5).length, 0);
    },
  },
  {
    id: 'state.kvm-run.inputs',
    claim: "What user space sets in kvm_run stays as it is: the first 8 bytes, and kvm_valid_regs' 16",
    source: `${RUN}: request_interrupt_window, immediate_exit, kvm_valid_regs`,
    needs: [forwarding],
    async run(ctx) {
      const inputs = (vcpu: Vcpu) => [...runBytes(vcpu, 0, 8), ...runBytes(vcpu, 288, 16)];
      let before: number[] = [];
      const machine = await atExit(ctx, (vcpu) => {
        const run = new KvmRunView(vcpu.kvmRun);
        run.requestInterruptWindow = 1;
        run.kvmValidRegs = 1n;
        before = inputs(vcpu);
      });
      ctx.equal('the inputs', inputs(machine.vcpu(0).vcpu), before);
    },
  },
  {
    id: 'state.kvm-run.header',
    claim: 'ready_for_interrupt_injection, if_flag, cr8 and apic_base are as at the KVM_EXIT_IO that follows',
    source: `${RUN}; arch/x86/kvm/x86.c: post_kvm_run_save`,
    needs: [forwarding],
    async run(ctx) {
      const machine = await atExit(ctx);
      const { vcpu } = machine.vcpu(0);
      const header = () => {
        const { readyForInterruptInjection, ifFlag, cr8, apicBase } = new KvmRunView(vcpu.kvmRun);
        return { readyForInterruptInjection, ifFlag, cr8, apicBase };
      };
      const here = header();
      enterUntil(ctx, machine, ({ name }) => name === 'KVM_EXIT_IO');
      ctx.equal('these four', here, header());
    },
  },
  ...table([true, false], (interrupts) => ({
    id: `state.kvm-run.if-flag.${interrupts ? 'set' : 'clear'}`,
    claim: `if_flag is ${interrupts ? 1 : 0} where the guest has interrupts ${interrupts ? 'enabled' : 'disabled'}`,
    source: `${RUN}: if_flag`,
    needs: [forwarding],
    async run(ctx: CheckContext) {
      const machine = await ctx.machine({ apic: 'xapic' });
      machine.vcpu(0).program(program, { interrupts });
      enterUntil(ctx, machine, isForwarded);
      ctx.equal('if_flag', new KvmRunView(machine.vcpu(0).vcpu.kvmRun).ifFlag, interrupts ? 1 : 0);
    },
  })),
  {
    id: 'state.kvm-run.cr8',
    claim: "cr8 is bits 7:4 of the guest's TPR",
    source: `${RUN}: cr8; SDM vol. 3 11.8.6`,
    needs: [forwarding],
    async run(ctx) {
      const machine = await atExit(ctx, undefined, [write32(at('TPR'), 0x50)]);
      ctx.equal('cr8', new KvmRunView(machine.vcpu(0).vcpu.kvmRun).cr8, 5n);
    },
  },
  {
    id: 'state.kvm-run.apic-base',
    claim: 'apic_base is what KVM_GET_SREGS has',
    source: `${RUN}: apic_base`,
    needs: [forwarding],
    async run(ctx) {
      const { vcpu } = (await atExit(ctx)).vcpu(0);
      ctx.equal('apic_base', new KvmRunView(vcpu.kvmRun).apicBase, vcpu.getSregs().apicBase);
    },
  },
  {
    id: 'state.kvm-run.sync-regs',
    claim:
      'The registers that kvm_valid_regs asks for are in kvm_run as KVM_GET_REGS, _SREGS and _VCPU_EVENTS have them',
    source: `${RUN}: kvm_valid_regs`,
    needs: [forwarding, capability('KVM_CAP_SYNC_REGS')],
    async run(ctx) {
      const machine = await atExit(ctx, (vcpu) => vcpu.requestSyncRegs({ regs: true, sregs: true, events: true }));
      const { vcpu } = machine.vcpu(0);
      const { regs, sregs, events } = vcpu.syncRegs();
      ctx.equal('the general registers', regs, vcpu.getRegs());
      ctx.equal('the special registers', sregs, vcpu.getSregs());
      ctx.equal('the events', events, vcpu.getVcpuEvents());
    },
  },
  {
    id: 'state.kvm-run.after-get',
    claim: 'Reading all of its state leaves kvm_run as the exit left it',
    source: `${RUN}; Documentation/virt/kvm/api.rst 4`,
    needs: [forwarding],
    async run(ctx) {
      const { vcpu } = (await atExit(ctx)).vcpu(0);
      const before = runBytes(vcpu);
      getEverything(vcpu);
      ctx.equal('kvm_run', runBytes(vcpu), before);
    },
  },
  {
    id: 'state.kvm-run.other-idle',
    claim: 'The kvm_run of a vCPU that has not run stays as it is',
    source: 'patch 2/3; Documentation/virt/kvm/api.rst 5: one per vCPU',
    needs: [forwarding],
    async run(ctx) {
      const machine = await ready(ctx);
      const before = runBytes(machine.vcpu(1).vcpu);
      enterUntil(ctx, machine, isForwarded);
      enterUntil(ctx, machine, ({ name }) => name === 'KVM_EXIT_IO');
      ctx.equal("vCPU 1's kvm_run", runBytes(machine.vcpu(1).vcpu), before);
    },
  },
  {
    id: 'state.kvm-run.other-exit',
    claim: 'The exit that lies in the kvm_run of another vCPU stays as it is',
    source: 'patch 2/3; Documentation/virt/kvm/api.rst 5: one per vCPU',
    needs: [forwarding],
    async run(ctx) {
      const machine = await ready(ctx);
      machine.vcpu(1).program(flat32(out8(ELSEWHERE_PORT)));
      enter(ctx, machine, 1);
      const before = runBytes(machine.vcpu(1).vcpu);
      enterUntil(ctx, machine, isForwarded);
      enterUntil(ctx, machine, ({ name }) => name === 'KVM_EXIT_IO');
      ctx.equal("vCPU 1's kvm_run", runBytes(machine.vcpu(1).vcpu), before);
    },
  },
];

/** The port of the next exit that is no forwarded write. */
function nextPort(ctx: CheckContext, machine: Machine): number | string {
  const exit = enterUntil(ctx, machine, (one) => !isForwarded(one));
  return exit.name === 'KVM_EXIT_IO' ? exit.port : exit.name;
}

const resume: Check[] = [
  {
    id: 'state.resume.payload-unread',
    claim: 'What user space writes over the payload changes nothing for the guest that goes on',
    source: `${SLOT}: the exit is a notice, and nothing is completed`,
    needs: [forwarding],
    async run(ctx) {
      const machine = await atExit(ctx);
      const { vcpu } = machine.vcpu(0);
      const regs = { ...vcpu.getRegs(), rip: 0n };
      fill(vcpu, RUN_UNION_OFFSET, RUN_UNION_SIZE);
      ctx.equal("the guest's next port", nextPort(ctx, machine), NEXT_PORT);
      const after = { ...vcpu.getRegs(), rip: 0n };
      ctx.equal('the registers but for RIP', { ...after, rdx: 0n }, { ...regs, rdx: 0n });
    },
  },
  {
    id: 'state.resume.rip',
    claim: 'The guest goes on at the RIP that KVM_SET_REGS gave it at the exit',
    source: `${SLOT}; Documentation/virt/kvm/api.rst 4.12`,
    needs: [forwarding],
    async run(ctx) {
      const machine = await atExit(ctx);
      const { vcpu, entry } = machine.vcpu(0);
      vcpu.setRegs({ rip: BigInt(entry + ELSEWHERE) });
      ctx.equal("the guest's next port", nextPort(ctx, machine), ELSEWHERE_PORT);
    },
  },
  {
    id: 'state.resume.registers',
    claim: 'The guest goes on with the registers that KVM_SET_REGS gave it at the exit',
    source: `${SLOT}; Documentation/virt/kvm/api.rst 4.12`,
    needs: [forwarding],
    async run(ctx) {
      const machine = await atExit(ctx);
      const { vcpu } = machine.vcpu(0);
      const given = { rbx: 0x1111n, rsi: 0x2222n, rdi: 0x3333n, rbp: 0x4444n };
      vcpu.setRegs(given);
      nextPort(ctx, machine);
      const { rbx, rsi, rdi, rbp } = vcpu.getRegs();
      ctx.equal('the registers', { rbx, rsi, rdi, rbp }, given);
    },
  },
  {
    id: 'state.resume.reset',
    claim: 'A vCPU that is reset at the exit runs its next program as a new one would',
    source: `${SLOT}; Documentation/virt/kvm/api.rst 4`,
    needs: [forwarding],
    async run(ctx) {
      const machine = await atExit(ctx);
      const [{ vcpu }, other] = [machine.vcpu(0), machine.vcpu(1)];
      reset(vcpu, other.vcpu);
      machine.vcpu(0).program(flat32(out8(ELSEWHERE_PORT)));
      ctx.equal("the new program's port", nextPort(ctx, machine), ELSEWHERE_PORT);
    },
  },
  {
    id: 'state.resume.restored',
    claim: 'A VM that was saved at the exit goes on behind the write where it is restored, and makes no exit again',
    source: `${SLOT}; Documentation/virt/kvm/api.rst 4`,
    needs: [forwarding],
    async run(ctx) {
      const saved = await ready(ctx, { vcpus: 1, memory: LITTLE_MEMORY });
      enterUntil(ctx, saved, isForwarded);
      const state = saveMachineState(saved.kvm, saved.vm);
      const vm = ctx.own(saved.kvm.createVm());
      for (const memory of restoreMachineState(vm, state)) ctx.own(memory);
      const exit = vm.vcpus.get(0)!.run({ deadline: '8s', profile: ctx.profile });
      ctx.equal('the first exit', exit.name === 'KVM_EXIT_IO' ? exit.port : exit.name, NEXT_PORT);
    },
  },
];

export const state = subject('state', "user space's view of the exit", [...survives, ...layout, ...resume]);
