/** What goes wrong with the KVM device, guest memory, and more than one kind of KVM object. */
import { constants } from 'node:buffer';
import { EnvironmentError, IoctlError, KvmDsmError } from '../base/errors.ts';
import { hex, show } from '../base/text.ts';
import { addonAdvice, shippedAddons, thisRuntime } from '../host/addon-causes.ts';
import { readDeviceAccess, whyRefused } from '../host/device-access.ts';
import { missingDeviceAdvice } from '../host/kvm-absence.ts';
import { readKvmFacts } from '../host/kvm-facts.ts';

/** The addon could not be loaded. */
export class NativeLoadError extends EnvironmentError {
  readonly code = 'ERR_NATIVE_LOAD';

  /** @internal */
  constructor(root: string, checkout: boolean, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    super(`The native addon of kvm-dsm could not be loaded from ${root}: ${why}`, {
      advice: addonAdvice(why, checkout, shippedAddons(root), thisRuntime()),
      cause,
    });
  }
}

/** There is no KVM device at the path (`open`: ENOENT, ENODEV, ENXIO). */
export class DeviceMissingError extends EnvironmentError {
  readonly code = 'ERR_DEVICE_MISSING';

  /** @internal */
  constructor(path: string, cause: unknown) {
    super(`There is no KVM device at ${path}`, { advice: missingDeviceAdvice(path, readKvmFacts()), cause });
  }
}

/** The KVM device may not be opened (`open`: EACCES, EPERM). */
export class DevicePermissionError extends EnvironmentError {
  readonly code = 'ERR_DEVICE_PERMISSION';

  /** @internal */
  constructor(path: string, cause: unknown) {
    const access = readDeviceAccess(path);
    const refused = access && whyRefused(access);
    super(`No permission to open ${path} for reading and writing${refused ? `: ${refused.because}` : ''}`, {
      advice: `${refused?.advice ?? 'A folder on the way to it is closed to this user.'} Or use the lab: \`--on vmx\`.`,
      cause,
    });
  }
}

/** The file is no KVM device: it does not answer 12 to KVM_GET_API_VERSION, as every KVM since Linux 2.6.22 does. */
export class NotKvmError extends EnvironmentError {
  readonly code = 'ERR_NOT_KVM';

  /** @internal `answer`: the number that it gave instead, or the error */
  constructor(path: string, answer: unknown) {
    const what = typeof answer === 'number' ? `it answers ${answer}, not 12, to` : 'it does not answer';
    super(`${path} is not a KVM device: ${what} KVM_GET_API_VERSION`, {
      advice: 'Give the path of a KVM device with --device; it is /dev/kvm on nearly every machine.',
      ...(typeof answer === 'number' ? {} : { cause: answer }),
    });
  }
}

/** An ioctl of another architecture: here its number means something else, or nothing. It was not made. */
export class ArchitectureError extends EnvironmentError {
  readonly code = 'ERR_ARCHITECTURE';
  /** The ioctl that this architecture does not have, as the kernel names it. */
  readonly ioctl: string;
  /** The ioctl's number, which is another's here. */
  readonly request: number;
  /** Where the ioctl means what was asked for, as `process.arch` spells it. */
  readonly architecture: string;

  /** @internal */
  constructor(ioctl: string, request: number, architecture: string) {
    super(
      `${ioctl} (${hex(request)}) is an ioctl of ${architecture}, and this is ${process.arch}, where its number is not its own: it was not made`,
      {
        advice: `Do it on an ${architecture} host. On x86 interrupts go to a vCPU by vm.signalMsi(), vm.assignIrqfd() or vm.dsmIpi().`,
      },
    );
    this.ioctl = ioctl;
    this.request = request;
    this.architecture = architecture;
  }
}

/** An address, offset or size of guest memory is not a multiple of 4096 bytes. */
export class MemoryAlignmentError extends KvmDsmError {
  readonly code = 'ERR_MEMORY_ALIGNMENT';

  /** @internal */
  constructor(what: string, value: number | bigint) {
    super(`${what} ${hex(value)} is not a multiple of 4096 bytes`, {
      advice: 'KVM maps guest memory in pages of 4096 bytes: round it.',
    });
  }
}

/** A read or write that would leave guest memory. */
export class MemoryRangeError extends KvmDsmError {
  readonly code = 'ERR_MEMORY_RANGE';

  /** @internal */
  constructor(offset: number, bytes: number, size: number) {
    super(
      `${show(bytes)} bytes at offset ${typeof offset === 'number' ? hex(offset) : show(offset)} do not lie within the ${size} bytes of guest memory`,
      {
        advice: 'Use a smaller offset, or allocate more guest memory.',
      },
    );
  }
}

/** More bytes than one ArrayBuffer of this node can have, or than there is memory for. Guest memory itself may be larger. */
export class ViewSizeError extends KvmDsmError {
  readonly code = 'ERR_VIEW_SIZE';

  /** @internal */
  constructor(what: string, cause?: unknown) {
    super(`${what}; one of Node.js ${process.versions.node} has at most ${constants.MAX_LENGTH} bytes`, {
      advice:
        'Use read() and write() on parts of the memory: they reach every offset. Newer versions of Node.js have larger buffers.',
      cause,
    });
  }
}

/** `ioctlRaw` with a request that makes or carries an address or a file descriptor, or runs a guest. */
export class RefusedIoctlError extends KvmDsmError {
  readonly code = 'ERR_IOCTL_REFUSED';

  /** @internal */
  constructor(message: string) {
    super(message, { advice: 'Call the typed method for this request: docs/kvm-api.md lists them.' });
  }
}

/** The VM has no in-kernel interrupt controller to do that with (ENXIO, EINVAL or ENODEV of the ioctl). */
export class NoIrqchipError extends IoctlError {
  override readonly code = 'ERR_NO_IRQCHIP';

  /** @internal */
  constructor(ioctl: string, errno: number) {
    super(ioctl, errno, {
      what: 'the VM lacks the in-kernel interrupt controller that it needs',
      advice: 'Call vm.createIrqchip() (or enableSplitIrqchip(), where local APICs are enough) before createVcpu().',
    });
  }
}
