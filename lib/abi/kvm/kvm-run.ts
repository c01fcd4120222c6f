/**
 * struct kvm_run: the page that KVM_RUN and user space share. Source: include/uapi/linux/kvm.h. The payloads in its union
 * stand with their exits, in lib/exit.
 */
import { ArgumentError } from '../../base/errors.ts';
import { type LayoutValue, layout, struct, u8, u16, u32, u64 } from '../layout.ts';
import { type KvmRegs, type KvmSregs, kvmRegs, kvmSregs } from './regs.ts';
import { type KvmVcpuEvents, kvmVcpuEvents } from './vcpu-state.ts';

/** Where the union of the exits' payloads starts in kvm_run, in bytes. */
export const RUN_UNION_OFFSET = 32;
/** The union's size in bytes: the kernel pads it to this, whatever exits it knows. */
export const RUN_UNION_SIZE = 256;
/** Where the sync register area starts, in bytes. */
export const RUN_SYNC_REGS_OFFSET = 304;
/** The sync register area's size in bytes. */
export const SYNC_REGS_SIZE_BYTES = 2048;

/** struct kvm_run but for the union. The vCPU's mapping (KVM_GET_VCPU_MMAP_SIZE) is longer: the PIO page follows. */
export const kvmRun = layout('struct kvm_run', RUN_SYNC_REGS_OFFSET + SYNC_REGS_SIZE_BYTES, {
  requestInterruptWindow: u8(0),
  immediateExit: u8(1),
  exitReason: u32(8),
  readyForInterruptInjection: u8(12),
  ifFlag: u8(13),
  flags: u16(14),
  cr8: u64(16),
  apicBase: u64(24),
  kvmValidRegs: u64(288),
  kvmDirtyRegs: u64(296),
});
export type KvmRun = LayoutValue<typeof kvmRun>;

/** struct kvm_sync_regs, at RUN_SYNC_REGS_OFFSET: filled as kvm_valid_regs asks, taken as kvm_dirty_regs says. */
export const kvmSyncRegs = layout('struct kvm_sync_regs', 520, {
  regs: struct<KvmRegs>(kvmRegs, 0),
  sregs: struct<KvmSregs>(kvmSregs, 144),
  events: struct<KvmVcpuEvents>(kvmVcpuEvents, 456),
});
/** The registers that lie in kvm_run beside an exit (KVM_CAP_SYNC_REGS): struct kvm_sync_regs, decoded. */
export type KvmSyncRegs = LayoutValue<typeof kvmSyncRegs>;

/** Bits of kvm_valid_regs and kvm_dirty_regs. */
export const KVM_SYNC_X86_REGS = 1;
export const KVM_SYNC_X86_SREGS = 2;
export const KVM_SYNC_X86_EVENTS = 4;

/** Bytes of a mapping; 0 for one that was taken away by `close()`, and for what is none. */
function sizeOf(mapping: DataView | Uint8Array | ArrayBuffer): number {
  if (mapping instanceof ArrayBuffer || mapping instanceof Uint8Array) return mapping.byteLength;
  // A DataView of a detached buffer throws when it is asked.
  return mapping instanceof DataView && mapping.buffer.byteLength > 0 ? mapping.byteLength : 0;
}

/** kvm_run's own fields by name, read and written in place: no copy, so it shows what the last KVM_RUN left. */
export class KvmRunView {
  /** The vCPU's mapping. It may be longer than kvm_run: the data of KVM_EXIT_IO is behind it. */
  readonly view: DataView;

  /** Takes the vCPU's mapping, at least 288 bytes: kvm_run to the union's end. Throws ArgumentError for a shorter one. */
  constructor(mapping: DataView | Uint8Array | ArrayBuffer) {
    const least = RUN_UNION_OFFSET + RUN_UNION_SIZE;
    const size = sizeOf(mapping);
    if (size < least) {
      throw new ArgumentError(
        'mapping',
        `kvm_run takes at least ${least} bytes, got ${size}`,
        'Pass the whole mapping of an open vCPU (KVM_GET_VCPU_MMAP_SIZE bytes).',
      );
    }
    this.view =
      mapping instanceof DataView
        ? mapping
        : mapping instanceof ArrayBuffer
          ? new DataView(mapping)
          : new DataView(mapping.buffer, mapping.byteOffset, mapping.byteLength);
  }

  /** In: 1 asks for KVM_EXIT_IRQ_WINDOW_OPEN as soon as the guest can take an interrupt. */
  get requestInterruptWindow(): number {
    return this.view.getUint8(0);
  }
  set requestInterruptWindow(value: number) {
    this.view.setUint8(0, value);
  }

  /** In: 1 makes KVM_RUN return EINTR at once. Not cleared by the kernel. */
  get immediateExit(): number {
    return this.view.getUint8(1);
  }
  set immediateExit(value: number) {
    this.view.setUint8(1, value);
  }

  /** Out: a KVM_EXIT_* number. */
  get exitReason(): number {
    return this.view.getUint32(8, true);
  }

  /** Out: 1 if KVM_INTERRUPT may be called now. */
  get readyForInterruptInjection(): number {
    return this.view.getUint8(12);
  }

  /** Out: the guest's RFLAGS.IF. */
  get ifFlag(): number {
    return this.view.getUint8(13);
  }

  /** Out: KVM_RUN_X86_* bits. */
  get flags(): number {
    return this.view.getUint16(14, true);
  }

  /** In and out: CR8, for a VM without in-kernel LAPIC. */
  get cr8(): bigint {
    return this.view.getBigUint64(16, true);
  }
  set cr8(value: bigint) {
    this.view.setBigUint64(16, value, true);
  }

  /** In and out: IA32_APIC_BASE, for a VM without in-kernel LAPIC. */
  get apicBase(): bigint {
    return this.view.getBigUint64(24, true);
  }
  set apicBase(value: bigint) {
    this.view.setBigUint64(24, value, true);
  }

  /** In: KVM_SYNC_X86_* bits of the registers that KVM_RUN shall leave in the sync area. */
  get kvmValidRegs(): bigint {
    return this.view.getBigUint64(288, true);
  }
  set kvmValidRegs(value: bigint) {
    this.view.setBigUint64(288, value, true);
  }

  /** In: KVM_SYNC_X86_* bits of the registers that KVM_RUN shall take from the sync area. */
  get kvmDirtyRegs(): bigint {
    return this.view.getBigUint64(296, true);
  }
  set kvmDirtyRegs(value: bigint) {
    this.view.setBigUint64(296, value, true);
  }

  /** The registers in the sync area, decoded; only those that `kvmValidRegs` named are up to date. */
  readSyncRegs(): KvmSyncRegs {
    return kvmSyncRegs.read(this.view, RUN_SYNC_REGS_OFFSET);
  }

  /** Puts registers into the sync area; `kvmDirtyRegs` says which of them KVM_RUN takes. */
  writeSyncRegs(regs: Partial<KvmSyncRegs>): void {
    kvmSyncRegs.write(this.view, regs, RUN_SYNC_REGS_OFFSET);
  }

  /** A copy of the union's 256 bytes. */
  copyUnion(): Uint8Array<ArrayBuffer> {
    return copyUnion(this.view);
  }
}

/** A copy of the 256-byte union of the kvm_run in `view`. */
export function copyUnion(view: DataView): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(RUN_UNION_SIZE);
  copy.set(new Uint8Array(view.buffer, view.byteOffset + RUN_UNION_OFFSET, RUN_UNION_SIZE));
  return copy;
}
