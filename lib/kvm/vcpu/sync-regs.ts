/** Registers in kvm_run, which KVM_RUN leaves there and takes from there: no ioctl is needed for them. */
import {
  KVM_SYNC_X86_EVENTS,
  KVM_SYNC_X86_REGS,
  KVM_SYNC_X86_SREGS,
  type KvmSyncRegs,
  kvmSyncRegs,
} from '../../abi/kvm/kvm-run.ts';
import { structCheck } from '../../abi/layout.ts';
import { UnsupportedError } from '../../base/errors.ts';
import { boolean, optional, shape } from '../../base/shape.ts';
import type { OpenVcpu } from './host.ts';

/** The register groups of kvm_run's sync area. */
export interface SyncGroups {
  /** General registers, RIP and RFLAGS (KVM_SYNC_X86_REGS). */
  regs?: boolean;
  /** Segment, table and control registers (KVM_SYNC_X86_SREGS). */
  sregs?: boolean;
  /** Pending events (KVM_SYNC_X86_EVENTS). */
  events?: boolean;
}

const syncBits = { regs: KVM_SYNC_X86_REGS, sregs: KVM_SYNC_X86_SREGS, events: KVM_SYNC_X86_EVENTS } as const;

const syncGroups = shape<SyncGroups>('requestSyncRegs() takes', {
  regs: optional(boolean),
  sregs: optional(boolean),
  events: optional(boolean),
});
const syncRegs = structCheck('setSyncRegs() takes', kvmSyncRegs);

/** kvm_run's sync area, by what the caller asks of it. */
export class SyncRegs {
  readonly #vcpu: OpenVcpu;

  constructor(vcpu: OpenVcpu) {
    this.#vcpu = vcpu;
  }

  requestSyncRegs(groups: SyncGroups): void {
    const run = this.#vcpu.run();
    run.kvmValidRegs = BigInt(this.#bits(syncGroups.take(groups, 'groups')));
  }

  syncRegs(): KvmSyncRegs {
    return this.#vcpu.run().readSyncRegs();
  }

  setSyncRegs(regs: Partial<KvmSyncRegs>): void {
    const given = syncRegs.takePart(regs, 'regs');
    const bits = this.#bits({ regs: !!given.regs, sregs: !!given.sregs, events: !!given.events });
    const run = this.#vcpu.run();
    run.writeSyncRegs(given);
    run.kvmDirtyRegs |= BigInt(bits);
  }

  #bits(groups: SyncGroups): number {
    let bits = 0;
    for (const name of ['regs', 'sregs', 'events'] as const) if (groups[name]) bits |= syncBits[name];
    if ((bits & ~this.#vcpu.offered('KVM_CAP_SYNC_REGS')) !== 0)
      throw new UnsupportedError('KVM_CAP_SYNC_REGS', 'A group of registers in kvm_run');
    return bits;
  }
}
