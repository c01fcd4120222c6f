/** What the ioctls answer for a write that they replay, and whether they are what their documentation says. */
import { encodeIcr, encodeIcr2 } from '../../../abi/apic/icr.ts';
import { lapicRegisters } from '../../../abi/apic/lapic.ts';
import { IA32_APIC_BASE } from '../../../abi/apic/msr.ts';
import type { DsmIoctlName } from '../../../abi/dsm/profiles.ts';
import type { Machine } from '../../../script/machine/machine.ts';
import { type Check, type Shortfall, table } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { baseInjection, ipiInjection, type Need, ofProfile, x2apic, x2apicInjection } from '../../kit/needs.ts';
import { SOURCE } from '../../kit/replay.ts';
import { PATCH, pendingOf, x2 } from './replay.ts';

const MAIN = 'GiantVM/GVM-kernel, branch main';
const TIMES = 4;

const UNSET: Shortfall = {
  profiles: ['gvm-main'],
  reason: 'what the ioctl answers is never set: 0 only where the compiler zeroes it (CONFIG_INIT_STACK_ALL_ZERO)',
  source: `${MAIN}, arch/x86/kvm/dsm.c: kvm_vm_ioctl_dsm, r`,
  cause: /the answers to/,
  sometimes: true,
};

interface Answered {
  word: string;
  ioctl: DsmIoctlName;
  needs: readonly Need[];
  apic: 'xapic' | 'x2apic';
  /** A write that nothing is wrong with. */
  argument(ctx: CheckContext, machine: Machine): Uint8Array;
}

const answered: Answered[] = [
  {
    word: 'ipi',
    ioctl: 'KVM_DSM_IPI',
    needs: [ipiInjection],
    apic: 'xapic',
    argument: ({ profile }) =>
      profile.ioctls.KVM_DSM_IPI.argument.encode({
        ...{ vcpuId: SOURCE, val: lapicRegisters.ICR2, val2: encodeIcr2({ destination: 2 }), destId: 2 },
      }),
  },
  {
    word: 'x2apic',
    ioctl: 'KVM_DSM_X2APIC',
    needs: [x2apicInjection, x2apic],
    apic: 'x2apic',
    argument: ({ profile }) =>
      profile.ioctls.KVM_DSM_X2APIC.argument.encode({ vcpuId: SOURCE, data: x2({ vector: 0x71, destination: 2 }) }),
  },
  {
    word: 'base',
    ioctl: 'KVM_DSM_APIC_BASE',
    needs: [baseInjection],
    apic: 'xapic',
    argument({ profile }, machine) {
      // On Intel the kernel writes to the VMCS that was loaded last: asking for the registers loads the vCPU's.
      const data = machine.vcpu(SOURCE).vcpu.getSregs().apicBase;
      return profile.ioctls.KVM_DSM_APIC_BASE.argument.encode({
        ...{ vcpuId: SOURCE, host: true, index: IA32_APIC_BASE, data },
      });
    },
  },
];

export const answerChecks: Check[] = [
  ...table(answered, ({ word, ioctl, needs, apic, argument }) => ({
    id: `injection.answer.${word}`,
    claim: `${ioctl} answers 0 for a write that it replays, each time`,
    source: `${PATCH}: ${ioctl}; Documentation/virt/kvm/api.rst: an ioctl that succeeds returns 0`,
    needs,
    shortfall: UNSET,
    async run(ctx: CheckContext) {
      const machine = await ctx.machine({ vcpus: 3, apic });
      const bytes = argument(ctx, machine);
      const { request } = ctx.profile.ioctls[ioctl];
      const answers = Array.from({ length: TIMES }, () => ctx.answer(ioctl, () => machine.vm.ioctlRaw(request, bytes)));
      ctx.equal(`the answers to ${TIMES} calls`, answers, new Array<string>(TIMES).fill('0'));
    },
  })),
  {
    id: 'injection.documented.ipi',
    claim:
      'KVM_DSM_IPI takes the two halves of the ICR, as its documentation says: val is the low one, val2 the high one',
    source: `${MAIN}, Documentation/virt/kvm/x86/dsm.rst: IPI Forwarding`,
    needs: [ofProfile('gvm-main'), ipiInjection],
    shortfall: {
      profiles: ['gvm-main'],
      reason: "the code takes val for the register's offset and val2 for the value: what is documented does nothing",
      source: `${MAIN}, arch/x86/kvm/dsm.c: kvm_lapic_reg_write_remote(apic, params.val, params.val2, ...)`,
      cause: /the vCPUs at which it is pending/,
    },
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 3, apic: 'xapic' });
      const { request, argument } = ctx.profile.ioctls.KVM_DSM_IPI;
      const halves = { val: encodeIcr({ vector: 0x71 }), val2: encodeIcr2({ destination: 2 }) };
      ctx.answer('KVM_DSM_IPI', () =>
        machine.vm.ioctlRaw(request, argument.encode({ vcpuId: SOURCE, ...halves, destId: 2 })),
      );
      ctx.equal('the vCPUs at which it is pending', pendingOf(machine, 0x71), [2]);
    },
  },
];
