/** What goes wrong with a VM. */
import { KvmDsmError } from '../../base/errors.ts';
import { hex, show } from '../../base/text.ts';
import type { ReservedRange } from '../reserved-memory.ts';

/** The kernel's own documentation says that the ioctl may lose interrupts: it was not made. */
export class InterruptLossError extends KvmDsmError {
  readonly code = 'ERR_INTERRUPT_LOSS';
  /** The ioctl that was called, as the kernel names it. */
  readonly ioctl: string;
  /** The vcpu_id of the vCPU that it is about. */
  readonly vcpuId: number;

  /** @internal */
  constructor(ioctl: string, vcpuId: number) {
    super(`${ioctl} may lose interrupts that are pending for vCPU ${vcpuId}`, {
      advice: 'Leave it as it is; or see that nothing is pending and nothing can come, and give `insist: true`.',
    });
    this.ioctl = ioctl;
    this.vcpuId = vcpuId;
  }
}

/** A memory slot would overlap another one in guest physical memory. */
export class MemoryOverlapError extends KvmDsmError {
  readonly code = 'ERR_MEMORY_OVERLAP';

  /** @internal */
  constructor(slot: number, other: number, range: string) {
    super(`Memory slot ${slot} (${range}) overlaps slot ${other}`, {
      advice: 'Give it another guest physical address, or remove the other slot first.',
    });
  }
}

/** Memory lies, or would lie, where an in-kernel interrupt controller or KVM itself has its page. */
export class ReservedMemoryError extends KvmDsmError {
  readonly code = 'ERR_MEMORY_RESERVED';
  /** The slot. */
  readonly slot: number;

  /** @internal `doing`: the ioctl or method that would bring both together */
  constructor(doing: string, slot: { slot: number; guestPhysAddr: bigint; size: number }, range: ReservedRange) {
    const at = (first: bigint, end: bigint) => `${hex(first)}..${hex(end - 1n)}`;
    const memory = at(slot.guestPhysAddr, slot.guestPhysAddr + BigInt(slot.size));
    const harm = range.isKvms
      ? 'the kernel says EEXIST'
      : 'the guest would find memory or the device there, as the CPU likes it';
    super(
      `${doing}: memory slot ${slot.slot} (${memory}) covers ${range.what}, ${at(range.first, range.end)}: ${harm}`,
      {
        advice: 'Leave a hole: one slot up to 0xfec00000, and another one from 4 GiB on, as PCs have it.',
      },
    );
    this.slot = slot.slot;
  }
}

/** The VM has a vCPU of that vcpu_id already (KVM_CREATE_VCPU: EEXIST). */
export class VcpuExistsError extends KvmDsmError {
  readonly code = 'ERR_VCPU_EXISTS';

  /** @internal */
  constructor(vcpuId: number) {
    super(`The VM has a vCPU with vcpu_id ${vcpuId} already`, { advice: 'Use each vcpu_id once per VM.' });
  }
}

/** The vcpu_id is beyond what the kernel allows (KVM_CAP_MAX_VCPU_ID). */
export class VcpuIdError extends KvmDsmError {
  readonly code = 'ERR_VCPU_ID';

  /** @internal */
  constructor(vcpuId: number, limit: number) {
    super(`vcpu_id ${show(vcpuId)} is not an integer from 0 to ${limit - 1}, the range that this kernel allows`, {
      advice: 'Choose a lower vcpu_id.',
    });
  }
}

/** A call about a vCPU that the VM does not have. */
export class NoVcpuError extends KvmDsmError {
  readonly code = 'ERR_NO_VCPU';
  /** The vcpu_id of the vCPU that it is about. */
  readonly vcpuId: number;

  /** @internal */
  constructor(vcpuId: number, ids: readonly number[]) {
    super(`The VM has no vCPU with vcpu_id ${vcpuId}`, {
      advice: ids.length === 0 ? 'Call createVcpu() first.' : `Its vCPUs are ${ids.join(', ')}.`,
    });
    this.vcpuId = vcpuId;
  }
}

/** The vCPU has no local APIC in the kernel, and the call writes to one. */
export class NoLapicError extends KvmDsmError {
  readonly code = 'ERR_NO_LAPIC';
  /** The vcpu_id of the vCPU that it is about. */
  readonly vcpuId: number;

  /** @internal */
  constructor(vcpuId: number) {
    super(`vCPU ${vcpuId} has no local APIC in the kernel`, {
      advice: 'Call vm.createIrqchip() (or enableSplitIrqchip()) before createVcpu().',
    });
    this.vcpuId = vcpuId;
  }
}

/**
 * A write to replay that the kernel would lose, or deliver elsewhere, without a word: it was not asked to. Or one that the
 * kernel refused by EINVAL.
 */
export class ReplayRefusedError extends KvmDsmError {
  readonly code = 'ERR_REPLAY_REFUSED';
  /** The ioctl that was called, as the kernel names it. */
  readonly ioctl: string;

  /** @internal */
  constructor(ioctl: string, what: string, advice: string, options: { says?: string; cause?: unknown } = {}) {
    const { says = 'would go wrong', cause } = options;
    super(`${ioctl} ${says}: ${what}`, { advice, cause });
    this.ioctl = ioctl;
  }

  /** The kernel looked, and said EINVAL. */
  static byKernel(ioctl: string, cause: unknown): ReplayRefusedError {
    return new ReplayRefusedError(
      ioctl,
      "no guest of this vCPU could write that now, or the VM has not asked for the series' exits",
      'Replay the write in the mode that the vCPU is in, with no reserved bit; make the VM with its usual opt-in.',
      { says: 'was refused by the kernel', cause },
    );
  }
}

/** The kernel said that it replayed a write, and did not. */
export class ReplayLostError extends KvmDsmError {
  readonly code = 'ERR_REPLAY_LOST';
  /** The ioctl that was called, as the kernel names it. */
  readonly ioctl: string;

  /** @internal */
  constructor(ioctl: string, what: string) {
    super(`${ioctl} answered 0 and did nothing: ${what}`, {
      advice: "Give a value that this vCPU's guest could write; `host: true` allows every change of mode.",
    });
    this.ioctl = ioctl;
  }
}
