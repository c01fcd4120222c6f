/** The version of the API. */
import type { Check } from '../../check.ts';

export const versionChecks: Check[] = [
  {
    id: 'capability.api-version',
    claim: 'KVM_GET_API_VERSION answers 12',
    source: 'Documentation/virt/kvm/api.rst 4.1',
    run(ctx) {
      const kvm = ctx.kvm();
      ctx.equal(
        'the API version',
        ctx.answer('KVM_GET_API_VERSION', () => kvm.apiVersion),
        '12',
      );
    },
  },
];
