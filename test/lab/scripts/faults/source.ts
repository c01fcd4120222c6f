/** What the faults of subject source do. */
import { type Case, count, forwarded, guest, ipi } from './guest.ts';

export const sourceCases: Record<string, Case> = {
  'id-index': {
    see: () => guest(ipi, (vcpu) => forwarded(vcpu).map(({ id }) => id), { ids: [7, 3] }),
    right: [7, 7],
    wrong: [0, 0],
  },
  'id-target': {
    see: () => guest(ipi, (vcpu) => forwarded(vcpu).map(({ id }) => id)),
    right: [0, 0],
    wrong: [1, 1],
  },
  'only-vcpu0': {
    see: () => [guest(ipi, count), guest(ipi, count, { ids: [2, 1] })],
    right: [2, 2],
    wrong: [2, 0],
  },
};
