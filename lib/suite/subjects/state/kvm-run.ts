/** kvm_run at the exit. */
import { KvmRunView, RUN_UNION_OFFSET, RUN_UNION_SIZE } from '../../../abi/kvm/kvm-run.ts';
import { flat32, out8, write32 } from '../../../guest/bytes.ts';
import type { Vcpu } from '../../../kvm/vcpu/vcpu.ts';
import { type Check, table } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { at } from '../../kit/guests.ts';
import { capability, forwarding } from '../../kit/needs.ts';
import {
  atExit,
  ELSEWHERE_PORT,
  enter,
  enterUntil,
  fill,
  getEverything,
  isForwarded,
  program,
  RUN,
  ready,
} from './guest.ts';

/** A copy of kvm_run but for its sync area. */
const runBytes = (vcpu: Vcpu, from = 0, length = RUN_UNION_OFFSET + RUN_UNION_SIZE): number[] => [
  ...new Uint8Array(vcpu.kvmRun.buffer, vcpu.kvmRun.byteOffset + from, length),
];

const unionOf = (vcpu: Vcpu): number[] => runBytes(vcpu, RUN_UNION_OFFSET, RUN_UNION_SIZE);

/** sizeof(struct lapic_irq). */
const PAYLOAD_SIZE = 16;

export const kvmRunChecks: Check[] = [
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
    claim: 'Of the union the exit fills the 16 bytes of lapic_irq; the others stay as they are, or are all zero',
    source: 'patch 1/3, include/uapi/linux/kvm.h',
    needs: [forwarding],
    async run(ctx) {
      const { vcpu } = (await atExit(ctx, (made) => fill(made, RUN_UNION_OFFSET, RUN_UNION_SIZE))).vcpu(0);
      const rest = unionOf(vcpu).slice(PAYLOAD_SIZE);
      const changed = rest.filter((byte) => byte !== 0xa5);
      const cleared = changed.length === rest.length && changed.every((byte) => byte === 0);
      ctx.equal('how many of the other bytes have changed', cleared ? 0 : changed.length, 0);
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
