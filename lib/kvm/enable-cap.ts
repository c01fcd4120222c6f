/** KVM_ENABLE_CAP, which a VM and a vCPU have both. */
import { type CapabilityName, capabilityName, capabilityNumber } from '../abi/kvm/capability.ts';
import { kvmEnableCap } from '../abi/kvm/index.ts';
import { checkList, checkU64 } from '../base/check.ts';
import { UnsupportedError } from '../base/errors.ts';

/** A capability that was enabled, with its arguments. */
export interface EnabledCap {
  /** By its number where it is a profile's, and none of mainline's. */
  readonly cap: CapabilityName | number;
  /** Up to four values that the capability defines, as they were given. */
  readonly args: readonly bigint[];
}

/** The argument of KVM_ENABLE_CAP. `offered` is what KVM_CHECK_EXTENSION says. */
export function encodeEnableCap(
  cap: CapabilityName | number,
  args: readonly bigint[],
  offered: number,
): Uint8Array<ArrayBuffer> {
  checkList('args', args, 4);
  const values = [0, 1, 2, 3].map((index) => checkU64('args', args[index] ?? 0n));
  if (offered === 0) throw new UnsupportedError(capabilityName(cap), 'What was asked for');
  return kvmEnableCap.encode({ cap: capabilityNumber(cap), args: values });
}
