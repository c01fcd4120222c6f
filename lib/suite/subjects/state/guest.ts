/** A guest with one write, up to its exit. */
import { IA32_APIC_BASE } from '../../../abi/apic/msr.ts';
import { mpStates } from '../../../abi/kvm/index.ts';
import type { Exit } from '../../../exit/exit.ts';
import { flat32, type Instruction, out8, write32 } from '../../../guest/bytes.ts';
import type { Vcpu } from '../../../kvm/vcpu/vcpu.ts';
import type { Machine, MachineOptions } from '../../../script/machine/machine.ts';
import type { CheckContext } from '../../kit/context.ts';
import { driveUntil, isPort } from '../../kit/drive.ts';
import { at, DONE_PORT } from '../../kit/guests.ts';

export const RUN = 'Documentation/virt/kvm/api.rst 5';

/** What the guests write to ICR2: nobody has that APIC id, so that nothing else changes. */
export const VALUE = 0x7700_0000;
export const NEXT_PORT = 0x12;
export const ELSEWHERE_PORT = 0x14;

/** One write, and two exits of the guest's own. */
export const program = flat32(write32(at('ICR2'), VALUE), out8(NEXT_PORT), out8(DONE_PORT), out8(ELSEWHERE_PORT));

/** One KVM_RUN of vCPU 0, or another one. */
export function enter(ctx: CheckContext, machine: Machine, id = 0): Exit {
  const exit = machine.vcpu(id).vcpu.run({ deadline: '8s', profile: machine.profile });
  ctx.effect(`exit ${exit.name} of vCPU ${id}`);
  return exit;
}

export const isForwarded = ({ name }: Exit) => name === 'KVM_EXIT_DSM_SEND_IRQ';

/** More exits than any of these guests makes. */
const ENOUGH = 6;

/** The next exit that is, or that is not, a forwarded write. */
export function enterUntil(ctx: CheckContext, machine: Machine, wanted: (exit: Exit) => boolean): Exit {
  const isEnd = (exit: Exit) => isPort(exit, DONE_PORT);
  const { last } = driveUntil(
    () => enter(ctx, machine),
    (exit) => wanted(exit) || isEnd(exit),
    { most: ENOUGH },
  );
  if (!wanted(last)) ctx.fail('no such exit before the end of the program');
  return last;
}

/** A vCPU 0 that is about to write. */
export async function ready(ctx: CheckContext, options: MachineOptions = {}, first: readonly Instruction[] = []) {
  const machine = await ctx.machine({ vcpus: 2, apic: 'xapic', ...options });
  machine.vcpu(0).program(first.length > 0 ? flat32(...first, program.bytes) : program);
  return machine;
}

/** A vCPU 0 that is out of the guest with a forwarded write. */
export async function atExit(
  ctx: CheckContext,
  prepare: (vcpu: Vcpu) => void = () => {},
  first: readonly Instruction[] = [],
) {
  const machine = await ready(ctx, {}, first);
  prepare(machine.vcpu(0).vcpu);
  enterUntil(ctx, machine, isForwarded);
  return machine;
}

export function getEverything(vcpu: Vcpu): void {
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
export function reset(vcpu: Vcpu, fresh: Vcpu): void {
  const { apicBase } = vcpu.getSregs();
  vcpu.setSregs({ ...fresh.getSregs(), apicBase });
  vcpu.setRegs(fresh.getRegs());
  vcpu.setLapicRegisters({ SVR: 0xff, ICR: 0, ICR2: 0, TPR: 0 });
  vcpu.setMpState(mpStates.KVM_MP_STATE_RUNNABLE);
}

export function fill(vcpu: Vcpu, from: number, length: number): void {
  new Uint8Array(vcpu.kvmRun.buffer, vcpu.kvmRun.byteOffset + from, length).fill(0xa5);
}
