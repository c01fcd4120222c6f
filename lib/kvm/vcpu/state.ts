import type { capabilities } from '../../abi/kvm/capability.ts';
import { exitReasons, KVM_EXIT_HYPERV_HCALL, KVM_EXIT_HYPERV_SYNDBG } from '../../abi/kvm/exit-reason.ts';
import { ioctls } from '../../abi/kvm/ioctl.ts';
import {
  KVM_SYNC_X86_EVENTS,
  KVM_SYNC_X86_REGS,
  KVM_SYNC_X86_SREGS,
  KvmRunView,
  type KvmSyncRegs,
  RUN_UNION_OFFSET,
} from '../../abi/kvm/kvm-run.ts';
import { checkObject, checkU64 } from '../../base/check.ts';
import { IoctlError, UnsupportedError } from '../../base/errors.ts';
import { HYPERV_BODY_OFFSET, runHyperv, runHypervHcall, runHypervSyndbg } from '../../exit/hyperv.ts';
import { runMsr } from '../../exit/msr.ts';
import { type DeviceAttr, handleGetAttr, handleHasAttr, handleSetAttr } from '../device.ts';
import { type EnabledCap, encodeEnableCap } from '../enable-cap.ts';
import { settleVcpu } from '../native.ts';
import { readStats, type Stat } from '../stats.ts';
import { ExitMismatchError } from './errors.ts';
import { VcpuEvents } from './events.ts';

/** The register groups of kvm_run's sync area. */
export interface SyncGroups {
  regs?: boolean;
  sregs?: boolean;
  events?: boolean;
}

const syncBits = { regs: KVM_SYNC_X86_REGS, sregs: KVM_SYNC_X86_SREGS, events: KVM_SYNC_X86_EVENTS } as const;

const EINTR = 4;
/** An AP that waits for INIT or SIPI. */
const EAGAIN = 11;

/** Everything of a vCPU that is not running it: what its ioctls and its kvm_run give and take. */
export abstract class VcpuState extends VcpuEvents {
  readonly #enabled: EnabledCap[] = [];

  /**
   * KVM_ENABLE_CAP on this vCPU.
   *
   * @param args up to four values that the capability defines
   * @throws UnsupportedError if the VM lacks the capability; RefusedIoctlError for one whose arguments are an address or
   *   a file descriptor; IoctlError (KVM_ENABLE_CAP: EINVAL for a capability that is none of a vCPU's); ArgumentError
   */
  enableCap(cap: keyof typeof capabilities, args: readonly bigint[] = []): void {
    this.ioctl(ioctls.KVM_ENABLE_CAP, encodeEnableCap(cap, args, this.offered(cap)));
    this.#enabled.push({ cap, args: args.map((arg) => checkU64('args', arg)) });
  }

  /** What `enableCap` enabled, in order. */
  get enabledCaps(): readonly EnabledCap[] {
    return this.#enabled;
  }

  /** KVM_GET_STATS_FD, read once: what the kernel counts of this vCPU, by name. Throws IoctlError (KVM_GET_STATS_FD). */
  stats(): Map<string, Stat> {
    return readStats(this.native);
  }

  /** KVM_HAS_DEVICE_ATTR on the vCPU: x86 has group 0 (KVM_VCPU_TSC_CTRL), attribute 0 (KVM_VCPU_TSC_OFFSET), a u64. */
  hasDeviceAttr(which: DeviceAttr): boolean {
    return handleHasAttr(this.native, which);
  }

  /** KVM_GET_DEVICE_ATTR on the vCPU: `size` bytes. Throws IoctlError (ENXIO without such an attribute); ArgumentError. */
  getDeviceAttr(which: DeviceAttr, size: number): Uint8Array {
    return handleGetAttr(this.native, which, size);
  }

  /** KVM_SET_DEVICE_ATTR on the vCPU. Throws IoctlError (ENXIO without such an attribute); ArgumentError. */
  setDeviceAttr(which: DeviceAttr, payload: Uint8Array): void {
    handleSetAttr(this.native, which, payload);
  }

  get #run(): KvmRunView {
    return new KvmRunView(this.native.kvmRun);
  }

  /**
   * kvm_run.kvm_valid_regs: which registers each KVM_RUN shall leave in kvm_run, for `syncRegs()`: no ioctl is needed to
   * read them then.
   *
   * @throws UnsupportedError for a group that KVM_CAP_SYNC_REGS does not offer
   */
  requestSyncRegs(groups: SyncGroups): void {
    this.#run.kvmValidRegs = BigInt(this.#syncBits(checkObject('groups', groups)));
  }

  /** The registers that the last KVM_RUN left in kvm_run; those that `requestSyncRegs` did not name are not up to date. */
  syncRegs(): KvmSyncRegs {
    return this.#run.readSyncRegs();
  }

  /**
   * Puts registers into kvm_run, which the next KVM_RUN takes (kvm_run.kvm_dirty_regs). Whole groups: begin with what
   * `syncRegs()` gave.
   *
   * @throws UnsupportedError; ArgumentError
   */
  setSyncRegs(regs: Partial<KvmSyncRegs>): void {
    checkObject('regs', regs);
    const bits = this.#syncBits({ regs: !!regs.regs, sregs: !!regs.sregs, events: !!regs.events });
    this.#run.writeSyncRegs(regs);
    this.#run.kvmDirtyRegs |= BigInt(bits);
  }

  #syncBits(groups: SyncGroups): number {
    let bits = 0;
    for (const name of ['regs', 'sregs', 'events'] as const) if (groups[name]) bits |= syncBits[name];
    if ((bits & ~this.offered('KVM_CAP_SYNC_REGS')) !== 0)
      throw new UnsupportedError('KVM_CAP_SYNC_REGS', 'A group of registers in kvm_run');
    return bits;
  }

  /**
   * Brings the vCPU's state into order without running its guest: KVM finishes what the last exit left to do (after
   * KVM_EXIT_IO, MMIO, RDMSR and their like, the KVM_GET_* give a state in the middle of an instruction), and acts on
   * its pending requests. Answer the exit first: what an `in` reads is taken now.
   *
   * @returns true if that made an exit, such as the next part of a long access, or a forwarded interrupt that a signal
   *   had kept back: it lies in kvm_run, for `exit()`
   * @throws IoctlError (KVM_RUN); ClosedError
   */
  settle(): boolean {
    const result = settleVcpu(this.native);
    if (result === 0) {
      // A vCPU that takes an INIT, or whose interrupt window is open, says so each time: nothing is lost with it.
      const { exitReason } = this.#run;
      return exitReason !== exitReasons.KVM_EXIT_INTR && exitReason !== exitReasons.KVM_EXIT_IRQ_WINDOW_OPEN;
    }
    if (result === -EINTR || result === -EAGAIN) return false;
    throw new IoctlError('KVM_RUN', -result);
  }

  /** Answers a KVM_EXIT_X86_RDMSR: the next KVM_RUN gives the guest this value. Throws ExitMismatchError; ArgumentError. */
  completeRdmsr(data: bigint): void {
    checkU64('data', data);
    this.#answerMsr(['KVM_EXIT_X86_RDMSR'], { error: 0, data });
  }

  /** Answers a KVM_EXIT_X86_WRMSR: the write is done. Throws ExitMismatchError. */
  completeWrmsr(): void {
    this.#answerMsr(['KVM_EXIT_X86_WRMSR'], { error: 0 });
  }

  /** Answers either: the next KVM_RUN gives the guest a #GP. Throws ExitMismatchError. */
  failMsr(): void {
    this.#answerMsr(['KVM_EXIT_X86_RDMSR', 'KVM_EXIT_X86_WRMSR'], { error: 1 });
  }

  /**
   * Answers a KVM_EXIT_HYPERV of type 2: the next KVM_RUN gives the guest this result of its hypercall; bits 15:0 are the
   * status, 0 for success. Throws ExitMismatchError; ArgumentError.
   */
  completeHypervHcall(result: bigint): void {
    checkU64('result', result);
    runHypervHcall.write(this.#hypervBody(KVM_EXIT_HYPERV_HCALL, 'hypercall'), { result });
  }

  /**
   * Answers a KVM_EXIT_HYPERV of type 3: what the synthetic debugger's status MSR reads from now on, where the guest
   * wrote its control MSR. Throws ExitMismatchError; ArgumentError.
   */
  completeHypervSyndbg(status: bigint): void {
    checkU64('status', status);
    runHypervSyndbg.write(this.#hypervBody(KVM_EXIT_HYPERV_SYNDBG, 'synthetic debugger'), { status });
  }

  #hypervBody(type: number, what: string): DataView {
    const run = this.#run;
    const isOne =
      run.exitReason === exitReasons.KVM_EXIT_HYPERV && runHyperv.read(run.view, RUN_UNION_OFFSET).type === type;
    if (!isOne) throw new ExitMismatchError(`KVM_EXIT_HYPERV of a ${what}`, run.exitReason);
    const { buffer, byteOffset } = run.view;
    return new DataView(buffer, byteOffset + RUN_UNION_OFFSET + HYPERV_BODY_OFFSET);
  }

  #answerMsr(
    wanted: readonly ('KVM_EXIT_X86_RDMSR' | 'KVM_EXIT_X86_WRMSR')[],
    answer: { error: number; data?: bigint },
  ): void {
    const run = this.#run;
    if (!wanted.some((name) => exitReasons[name] === run.exitReason))
      throw new ExitMismatchError(wanted.join(' or '), run.exitReason);
    runMsr.write(run.view, answer, RUN_UNION_OFFSET);
  }
}
