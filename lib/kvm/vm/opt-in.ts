/** A VM's asking for the exits of the series, where its profile has them only for those that ask. */
import type { DsmProfile } from '../../abi/dsm/profiles.ts';
import { ArgumentError, UnsupportedError } from '../../base/errors.ts';

/** As much of a VM as its opt-in needs. */
interface OptingVm {
  readonly profile: DsmProfile;
  checkExtension(cap: number): number;
  enableCap(cap: number, args: readonly bigint[]): void;
}

/**
 * The bits of a profile's opt-in by their names; without names the usual ones.
 *
 * @throws ArgumentError for a name that the profile does not have
 */
export function optInBits({ name, optIn }: DsmProfile, which?: readonly string[]): number {
  const bits = optIn?.bits ?? {};
  const names = which ?? optIn?.usual ?? [];
  const known = Object.keys(bits);
  return names.reduce((sum, bit) => {
    if (Object.hasOwn(bits, bit)) return sum | bits[bit]!;
    throw new ArgumentError(
      'optIn',
      `profile ${name} has ${known.length === 0 ? 'no opt-in' : `no '${bit}' in its opt-in`}`,
      known.length === 0 ? 'Leave it out: every VM makes the exits.' : `Known: ${known.join(', ')}.`,
    );
  }, 0);
}

/**
 * Asks for these bits, before the VM has a vCPU. What the kernel does not offer is left out, unless the caller insists: a
 * kernel without the capability makes no exits, and that is for others to find out.
 *
 * @throws UnsupportedError, IoctlError (KVM_ENABLE_CAP)
 */
export function optIn(vm: OptingVm, bits: number, insist: boolean): void {
  const { optIn: way } = vm.profile;
  if (!way || bits === 0) return;
  const offered = vm.checkExtension(way.capability);
  if (insist && (bits & ~offered) !== 0)
    throw new UnsupportedError(`${way.name} with 0x${(bits & ~offered).toString(16)} in args[0]`, 'Its opt-in');
  if ((bits & offered) !== 0) vm.enableCap(way.capability, [BigInt(bits & offered)]);
}
