/** What the faults of subject vlpi do. */
import { attempt, type Case, LAPIC, replica } from './guest.ts';

/** A request of arm64's. */
const DISABLE_VCPU_VLPI = 0x4004_aef1;

export const vlpiCases: Record<string, Case> = {
  'vlpi-answers': {
    see: () =>
      replica(0xfee0_0800, (vm, irrs) => {
        vm.signalMsi({ addressLo: LAPIC + (1 << 12), addressHi: 0, data: 0x51 });
        const answer = attempt(() => vm.ioctlRaw(DISABLE_VCPU_VLPI, Int32Array.of(1)));
        return [typeof answer === 'number' ? answer : /E[A-Z]+/.exec(answer)?.[0], irrs()];
      }),
    right: ['ENOTTY', [[], [0x51], []]],
    wrong: [0, [[], [], []]],
  },
};
