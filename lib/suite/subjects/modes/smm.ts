/** System management mode: memory of its own, and the same local APIC. */
import { KVM_RUN_X86_SMM } from '../../../abi/kvm/exit-reason.ts';
import { flat32, nop, out8 } from '../../../guest/bytes.ts';
import { GuestMemory, PAGE_SIZE } from '../../../kvm/guest-memory.ts';
import { smmSlot } from '../../../kvm/vm/vm.ts';
import type { Check } from '../../check.ts';
import { smmHandler } from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
import { Driver, isPort } from '../../kit/drive.ts';
import { forwardedWrites } from '../../kit/forwarded-writes.ts';
import { DONE_PORT, icr2 } from '../../kit/guests.ts';
import { capability, forwarding } from '../../kit/needs.ts';
import { OTHER_PORT } from '../../kit/writers.ts';

/** SMBASE after reset, and where the handler of SMIs begins in it. */
const [SMBASE, HANDLER] = [0x3_0000, 0x8000];
/** Where an SMI saves the state ends here. */
const SMRAM = 0x1_0000;
/** struct kvm_run: flags, 16 bits. */
const FLAGS = 14;

const needs = [capability('KVM_CAP_X86_SMM'), capability('KVM_CAP_MULTI_ADDRESS_SPACE')];

/** Of a vCPU that takes an SMI before its first instruction: its exits, and kvm_run.flags at each. */
async function runWithSmi(ctx: CheckContext) {
  const memory = ctx.own(GuestMemory.allocate(SMRAM));
  memory.write(HANDLER, smmHandler);
  const machine = await ctx.machine({ apic: 'xapic' });
  machine.vm.setMemory({
    slot: smmSlot(0),
    guestPhysAddr: SMBASE,
    memory,
    size: Math.ceil(SMRAM / PAGE_SIZE) * PAGE_SIZE,
  });
  machine.vcpu(0).program(flat32(nop, out8(DONE_PORT)));
  const { vcpu } = machine.vcpu(0);
  vcpu.smi();
  const driver = new Driver(ctx, machine);
  const seen: { exit: ReturnType<Driver['next']>; flags: number }[] = [];
  do seen.push({ exit: driver.next(), flags: vcpu.kvmRun.getUint16(FLAGS, true) });
  while (!isPort(seen.at(-1)!.exit, DONE_PORT) && seen.length < 8);
  return seen;
}

export const smmChecks: Check[] = [
  {
    id: 'modes.smm.flags',
    claim: 'kvm_run.flags tells that a guest is in SMM, at an exit from its handler and not behind RSM',
    source: 'Documentation/virt/kvm/api.rst 5: KVM_RUN_X86_SMM; SDM vol. 3 32.5',
    needs,
    async run(ctx) {
      const seen = await runWithSmi(ctx);
      const ports = seen.flatMap(({ exit, flags }) =>
        exit.name === 'KVM_EXIT_IO' ? [[exit.port, flags & KVM_RUN_X86_SMM]] : [],
      );
      ctx.equal('the ports, and whether in SMM', ports, [
        [OTHER_PORT, KVM_RUN_X86_SMM],
        [DONE_PORT, 0],
      ]);
    },
  },
  {
    id: 'modes.smm.forwarded',
    claim: "An ICR2 write of a guest's SMI handler comes out as any other, and kvm_run.flags tells that it is in SMM",
    source: 'patch 2/3, arch/x86/kvm/lapic.c: apic_mmio_write; SDM vol. 3 32.5',
    needs: [...needs, forwarding],
    async run(ctx) {
      const seen = await runWithSmi(ctx);
      const { exits } = ctx.profile;
      const { reason } = exits.KVM_EXIT_DSM_SEND_IRQ;
      ctx.equal('the writes that came out', forwardedWrites(seen.map(({ exit }) => exit)), [icr2(0x7700_0000)]);
      const at = seen.filter(({ exit }) => exit.reason === reason).map(({ flags }) => flags & KVM_RUN_X86_SMM);
      ctx.equal('whether in SMM at that exit', at, [KVM_RUN_X86_SMM]);
    },
  },
];
