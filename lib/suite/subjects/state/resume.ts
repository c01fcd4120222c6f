/** What user space changes at the exit, and how the guest goes on. */
import { RUN_UNION_OFFSET, RUN_UNION_SIZE } from '../../../abi/kvm/kvm-run.ts';
import { flat32, out8 } from '../../../guest/bytes.ts';
import type { Machine } from '../../../script/machine/machine.ts';
import { restoreMachineState, saveMachineState } from '../../../snapshot/machine-state.ts';
import type { Check } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { forwarding } from '../../kit/needs.ts';
import { SLOT } from '../../kit/sources.ts';
import { atExit, ELSEWHERE_PORT, enterUntil, fill, isForwarded, NEXT_PORT, ready, reset } from './guest.ts';

/** Bytes from the program's begin to its last `out`. */
const ELSEWHERE = 14;

/** Enough for one vCPU, in bytes: to save and restore more takes an emulated CPU seconds. */
const LITTLE_MEMORY = 128 << 10;

/** The port of the next exit that is no forwarded write. */
function nextPort(ctx: CheckContext, machine: Machine): number | string {
  const exit = enterUntil(ctx, machine, (one) => !isForwarded(one));
  return exit.name === 'KVM_EXIT_IO' ? exit.port : exit.name;
}

export const resumeChecks: Check[] = [
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
    claim: 'A VM that was saved at the exit goes on after the write where it is restored, and makes no exit again',
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
