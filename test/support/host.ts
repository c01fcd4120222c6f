import { forwardsIcrWrites, Kvm, KvmDsmError } from '../../lib/index.ts';

export { errorOf } from './error-of.ts';

/** Why tests that need this machine's KVM cannot run here; false if they can. For a test's `skip`. */
export const noKvm: string | false = (() => {
  try {
    Kvm.open().close();
    return false;
  } catch (error) {
    if (error instanceof KvmDsmError) return error.message;
    throw error;
  }
})();

/** Why tests of a stock kernel cannot run here: there is no KVM, or its kernel has the series. */
export const noStockKvm: string | false =
  noKvm || (hostForwards() ? "this host's kernel forwards ICR writes: it is no stock kernel" : false);

/** Why tests of the series cannot run here: there is no KVM, or its kernel does not forward ICR writes. */
export const noForwardingKvm: string | false =
  noKvm || (hostForwards() ? false : "this host's kernel does not forward ICR writes");

function hostForwards(): boolean {
  using kvm = Kvm.open();
  return forwardsIcrWrites(kvm);
}
