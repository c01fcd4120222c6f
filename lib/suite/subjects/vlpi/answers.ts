/** What they answer. */
import type { VlpiIoctlName } from '../../../abi/vlpi.ts';
import type { Vm } from '../../../kvm/vm/vm.ts';
import { type Check, table } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { answerToUnknown, otherHandles } from '../../kit/foreign-ioctls.ts';
import { call, callAll, harmless, SERIES, setupMsi, TARGET, twoVcpus, UNKNOWN_NUMBER, vcpuCalls } from './calls.ts';

/** x86 answers ENOTTY to a number that it does not know, arm64 EINVAL: what is meant is that it does not know it. */
function refused(ctx: CheckContext, vm: Vm, answers: readonly string[]): void {
  const unknown = answerToUnknown(ctx, vm, 4);
  ctx.ok(['ENOTTY', 'EINVAL'].includes(unknown), `a number that nobody has is answered ${unknown}`);
  ctx.equal(
    'what it answers',
    answers,
    answers.map(() => unknown),
  );
}

const word = (name: VlpiIoctlName) => name.toLowerCase().replace(/^kvm_|_vcpu_vlpi$/g, '');

const answers: Check[] = table(vcpuCalls, (name) => ({
  id: `vlpi.answer.${word(name)}`,
  claim: `A VM answers to the number of ${name} as to one that nobody has, whatever vcpu_id it is given`,
  source: `${SERIES}; ${UNKNOWN_NUMBER}`,
  run(ctx) {
    const kvm = ctx.kvm();
    const bare = ctx.own(kvm.createVm());
    const whole = ctx.own(kvm.createVm());
    whole.createIrqchip();
    whole.createVcpu(0);
    whole.createVcpu(TARGET);
    const ids = [0, TARGET, 2, 0x7fff_ffff, -1];
    refused(
      ctx,
      whole,
      [bare, whole].flatMap((vm) => ids.map((id) => call(ctx, vm, name, id))),
    );
  },
}));

export const answerChecks: Check[] = [
  ...answers,
  {
    id: 'vlpi.answer.msi-setup',
    claim: 'A VM answers to the number of KVM_DEBUG_GIC_MSI_SETUP, 0xf3 with 32 bytes, as to one that nobody has',
    source: `${SERIES}; ${UNKNOWN_NUMBER}`,
    async run(ctx) {
      const { vm } = await twoVcpus(ctx);
      refused(ctx, vm, [setupMsi(ctx, vm, harmless(TARGET))]);
    },
  },
  {
    id: 'vlpi.answer.handles',
    claim: 'The device and a vCPU answer to the four numbers as to one that nobody has',
    source: `${SERIES}: VM ioctls; ${UNKNOWN_NUMBER}`,
    run(ctx) {
      for (const [what, handle] of otherHandles(ctx)) {
        const unknown = answerToUnknown(ctx, handle, 4);
        const said = callAll(ctx, handle, 0);
        ctx.equal(
          `what ${what} answers`,
          said,
          said.map(() => unknown),
        );
      }
    },
  },
];
