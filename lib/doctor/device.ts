import { KVM_GUESTDBG_BLOCKIRQ } from '../abi/kvm/index.ts';
import { KvmDsmError } from '../base/errors.ts';
import { DeviceMissingError, DevicePermissionError, NativeLoadError, NotKvmError } from '../kvm/errors.ts';
import { Kvm } from '../kvm/kvm.ts';
import { type Check, check } from './check.ts';

/** Opens the device, and looks at what its KVM offers. The device is `null` if it cannot be used. */
export function openDevice(path: string): { kvm: Kvm | null; checks: Check[] } {
  try {
    const kvm = Kvm.open(path);
    return {
      kvm,
      checks: [
        check('device.present', 'ok', `${path} is there`),
        check('device.permission', 'ok', `${path} may be opened`),
        check('device.kvm', 'ok', `${path} is KVM, API version ${kvm.apiVersion}`),
        ...checkCapabilities(kvm),
      ],
    };
  } catch (error) {
    if (!(error instanceof KvmDsmError)) throw error;
    return { kvm: null, checks: [check(idOf(error), 'fail', error.message, error.advice)] };
  }
}

function idOf(error: KvmDsmError): string {
  if (error instanceof DeviceMissingError) return 'device.present';
  if (error instanceof DevicePermissionError) return 'device.permission';
  if (error instanceof NotKvmError) return 'device.kvm';
  return error instanceof NativeLoadError ? 'addon' : 'device.open';
}

/** What machines of this package are built from, and what is lost without it. */
const needed = [
  ['KVM_CAP_USER_MEMORY', 'fail', 'guest memory'],
  ['KVM_CAP_IRQCHIP', 'fail', 'local APICs in the kernel'],
  ['KVM_CAP_SPLIT_IRQCHIP', 'warn', 'the split irqchip'],
  ['KVM_CAP_IMMEDIATE_EXIT', 'warn', 'deadlines that cannot be missed'],
  ['KVM_CAP_MP_STATE', 'warn', 'mp_state'],
] as const;

function checkCapabilities(kvm: Kvm): Check[] {
  const found: Check[] = needed.map(([cap, severity, what]) =>
    kvm.checkExtension(cap) > 0
      ? check(`cap.${cap}`, 'ok', `${cap}: ${what}`)
      : check(`cap.${cap}`, severity, `The kernel lacks ${cap}: ${what}`, 'Use a newer kernel, or the lab.'),
  );
  const blockIrq = (kvm.checkExtension('KVM_CAP_SET_GUEST_DEBUG2') & KVM_GUESTDBG_BLOCKIRQ) !== 0;
  found.push(
    blockIrq
      ? check('cap.blockirq', 'ok', 'KVM_GUESTDBG_BLOCKIRQ: APICv can be inhibited for one VM')
      : check(
          'cap.blockirq',
          'note',
          'No KVM_GUESTDBG_BLOCKIRQ (before 5.17): APICv cannot be inhibited for one VM',
          null,
        ),
  );
  return found;
}
