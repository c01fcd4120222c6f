/** Whether KVM's device can be used, and what its KVM offers. */
import type { DsmProfile } from '../abi/dsm/profiles.ts';
import { KVM_GUESTDBG_BLOCKIRQ } from '../abi/kvm/index.ts';
import { KvmDsmError } from '../base/errors.ts';
import { thisRuntime } from '../host/addon-causes.ts';
import { DeviceMissingError, DevicePermissionError, NativeLoadError, NotKvmError } from '../kvm/errors.ts';
import { Kvm } from '../kvm/kvm.ts';
import { type HealthCheck, healthCheck } from './health-check.ts';

/** Opens the device, and looks at what its KVM offers. The device is `null` if it cannot be used. */
export function openDevice(path: string, profile: DsmProfile): { kvm: Kvm | null; checks: HealthCheck[] } {
  try {
    const kvm = Kvm.open(path, { profile });
    return {
      kvm,
      checks: [
        healthCheck('addon', 'ok', `The addon is loaded (${libc()})`),
        healthCheck('device.present', 'ok', `${path} is there`),
        healthCheck('device.permission', 'ok', `${path} may be opened`),
        healthCheck('device.kvm', 'ok', `${path} is KVM, API version ${kvm.apiVersion}`),
        ...checkCapabilities(kvm),
      ],
    };
  } catch (error) {
    if (!(error instanceof KvmDsmError)) throw error;
    return { kvm: null, checks: [healthCheck(idOf(error), 'fail', error.message, error.advice)] };
  }
}

function idOf(error: KvmDsmError): string {
  if (error instanceof DeviceMissingError) return 'device.present';
  if (error instanceof DevicePermissionError) return 'device.permission';
  if (error instanceof NotKvmError) return 'device.kvm';
  if (error instanceof NativeLoadError) return 'addon';
  return 'device.open';
}

function libc(): string {
  const { arch, glibc } = thisRuntime();
  return `${arch}, ${glibc === null ? 'a C library that is not glibc' : `glibc ${glibc}`}`;
}

/** What machines of this package are built from, and what is lost without it. */
const needed = [
  ['KVM_CAP_USER_MEMORY', 'fail', 'guest memory'],
  ['KVM_CAP_IRQCHIP', 'fail', 'local APICs in the kernel'],
  ['KVM_CAP_SPLIT_IRQCHIP', 'warn', 'the split irqchip'],
  ['KVM_CAP_IMMEDIATE_EXIT', 'warn', 'deadlines that cannot be missed'],
  ['KVM_CAP_MP_STATE', 'warn', 'mp_state'],
] as const;

function checkCapabilities(kvm: Kvm): HealthCheck[] {
  const found: HealthCheck[] = needed.map(([cap, severity, what]) =>
    kvm.checkExtension(cap) > 0
      ? healthCheck(`cap.${cap}`, 'ok', `${cap}: ${what}`)
      : healthCheck(`cap.${cap}`, severity, `The kernel lacks ${cap}: ${what}`, 'Use a newer kernel, or the lab.'),
  );
  const blockIrq = (kvm.checkExtension('KVM_CAP_SET_GUEST_DEBUG2') & KVM_GUESTDBG_BLOCKIRQ) !== 0;
  found.push(
    blockIrq
      ? healthCheck('cap.blockirq', 'ok', 'KVM_GUESTDBG_BLOCKIRQ: APICv can be inhibited for one VM')
      : healthCheck(
          'cap.blockirq',
          'note',
          'No KVM_GUESTDBG_BLOCKIRQ (before 5.17): APICv cannot be inhibited for one VM',
          null,
        ),
  );
  return found;
}
