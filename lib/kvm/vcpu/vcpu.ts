/** A virtual CPU: its lifetime, running it, and one method for each thing that it can be asked. */
import type { Lapic, LapicRegisterName } from '../../abi/apic/lapic.ts';
import type { DsmProfile } from '../../abi/dsm/profiles.ts';
import type { CapabilityName } from '../../abi/kvm/capability.ts';
import type {
  KvmCpuidEntry2,
  KvmDebugregs,
  KvmFpu,
  KvmGuestDebug,
  KvmMsrEntry,
  KvmRegs,
  KvmSregs,
  KvmSregs2,
  KvmTranslation,
  KvmVcpuEvents,
  KvmXcr,
} from '../../abi/kvm/index.ts';
import { KVM_SYNC_X86_REGS, KvmRunView, type KvmSyncRegs } from '../../abi/kvm/kvm-run.ts';
import { checkBoolean } from '../../base/check.ts';
import { DEFAULT_DEADLINE, type Duration } from '../../base/duration.ts';
import { hex } from '../../base/text.ts';
import { decodeExit } from '../../exit/decode.ts';
import type { Exit } from '../../exit/exit.ts';
import type { Cpuid } from '../cpuid.ts';
import { Desk } from '../desk.ts';
import { type DeviceAttr, handleGetAttr, handleHasAttr, handleSetAttr } from '../device.ts';
import type { EnabledCap } from '../enable-cap.ts';
import { KvmHandle } from '../handle.ts';
import { type NativeVcpu, nativeCalls } from '../native.ts';
import { readStats, type Stat } from '../stats.ts';
import {
  completeHypervHcall,
  completeHypervSyndbg,
  completeRdmsr,
  completeRead,
  completeWrmsr,
  failMsr,
  type ReadAnswer,
} from './answers.ts';
import { Debug, type DebugOptions } from './debug.ts';
import { Entry, type RunOptions, type RunOutcome } from './entry.ts';
import { NoMemoryError, VcpuBusyError, VcpuStopError } from './errors.ts';
import { Events } from './events.ts';
import { Features } from './features.ts';
import type { OpenVcpu, RunContext, VcpuHost } from './host.ts';
import { LocalApic } from './lapic.ts';
import { type ExitRegs, LastExit } from './last-exit.ts';
import { Msrs } from './msrs.ts';
import { Registers } from './registers.ts';
import type { ExitLog } from './run/exit-log.ts';
import type { StartOptionsOf } from './run/options.ts';
import { VcpuRunOf } from './run/run.ts';
import { type SyncGroups, SyncRegs } from './sync-regs.ts';

export type { ReadAnswer } from './answers.ts';
export type { RunOptions, RunOutcome } from './entry.ts';
export type { ExitRegs } from './last-exit.ts';
export type { VcpuCounters, VcpuRunState } from './run/options.ts';
export type { SyncGroups } from './sync-regs.ts';
export { DEFAULT_DEADLINE };

/** A vCPU on its own thread: what `vcpu.start()` returns. */
export class VcpuRun extends VcpuRunOf<Vcpu> {
  private constructor(...of: ConstructorParameters<typeof VcpuRunOf<Vcpu>>) {
    super(...of);
  }

  /** @internal Use `vcpu.start()`. */
  static of(...of: ConstructorParameters<typeof VcpuRunOf<Vcpu>>): VcpuRun {
    return new VcpuRun(...of);
  }
}

/** What `vcpu.start()` takes. */
export interface StartOptions extends StartOptionsOf<VcpuRun> {}

/** A virtual CPU. */
export class Vcpu extends KvmHandle<NativeVcpu> {
  /** As given to KVM_CREATE_VCPU. */
  readonly vcpuId: number;
  readonly #host: VcpuHost;
  /** In a buffer that nobody else has. */
  readonly #run: KvmRunView;
  /** What `kvmRun` gave last. */
  #shown: DataView | null = null;
  /** For the parts. */
  readonly #vcpu: OpenVcpu;
  readonly #lastExit: LastExit;
  readonly #entry: Entry;
  readonly #registers: Registers;
  readonly #msrs: Msrs;
  readonly #features: Features;
  readonly #lapic: LocalApic;
  readonly #events: Events;
  readonly #debug: Debug;
  readonly #syncRegs: SyncRegs;
  #thread: VcpuRun | null = null;

  /** @internal A vCPU comes from `vm.createVcpu()`. */
  constructor(native: NativeVcpu, vcpuId: number, host: VcpuHost) {
    super(native, `vCPU ${vcpuId}`);
    this.vcpuId = vcpuId;
    this.#host = host;
    this.#run = new KvmRunView(native.ownKvmRun);
    const desk = new Desk(native, nativeCalls().askVcpu);
    const vcpu: OpenVcpu = Object.assign(this.calls, {
      argument: desk.argument,
      ask: (request: number) => {
        void this.native;
        this.#lastExit.touched();
        return this.answered(request, desk.ask(request));
      },
      vcpuId,
      runnable: () => this.#runnable(),
      run: () => {
        void this.native;
        return this.#run;
      },
      offered: (cap: CapabilityName | number) => host.checkExtension(cap),
      irqchip: () => host.irqchip(),
    });
    this.#vcpu = vcpu;
    this.#lastExit = new LastExit(vcpu, this.#run.view);
    this.#entry = new Entry(vcpu, host, this.#lastExit, desk.numbers, native.number, () => this.registerReport());
    this.#registers = new Registers(vcpu);
    this.#msrs = new Msrs(vcpu);
    this.#features = new Features(vcpu);
    this.#lapic = new LocalApic(vcpu);
    this.#events = new Events(vcpu);
    this.#debug = new Debug(vcpu);
    this.#syncRegs = new SyncRegs(vcpu);
  }

  /** Whose exits are meant: as the KVM device was opened with. */
  get profile(): DsmProfile {
    return this.#host.profile;
  }

  /** The live struct kvm_run and the pages behind it, as the kernel mapped them. Throws `ClosedError`. */
  get kvmRun(): DataView {
    const native = super.native;
    // Its owner may have moved it away.
    if (!this.#shown?.buffer.byteLength) this.#shown = new DataView(native.kvmRun);
    return this.#shown;
  }

  /** @internal The addon's object, for a call that needs the vCPU to be out of the guest. Throws ClosedError, VcpuBusyError. */
  protected override get native(): NativeVcpu {
    if (this.#thread?.inGuest) throw new VcpuBusyError(this.vcpuId, 'is running on its own thread');
    return super.native;
  }

  /** What the last `start()` returned; `null` before the first. */
  get thread(): VcpuRun | null {
    return this.#thread;
  }

  /**
   * Runs the guest on a thread of its own, from now until `stop()`, while the event loop goes on. It leaves the guest
   * at each exit and stays out until the exit has been dealt with: the body of `for await`, or `onExit` and its promise.
   *
   * A vCPU in the guest keeps the process alive; one that waits with an exit does not.
   *
   * @throws NoMemoryError if the VM has no memory; VcpuBusyError if it is started already; ClosedError; ArgumentError;
   *   IoctlError (pthread_create: EAGAIN)
   */
  start(options: StartOptions = {}): VcpuRun {
    return this.#start(options);
  }

  /**
   * As `start()`; exits that nobody has to look at go into the log, and the others to `onExit`. It needs KVM_CAP_SYNC_REGS.
   *
   * @internal
   */
  startInto(log: ExitLog, onExit: NonNullable<StartOptions['onExit']>): VcpuRun {
    return this.#start({ onExit }, log);
  }

  /**
   * As `runRaw()`, for as long as nobody has to look at an exit: those go into the log. It needs KVM_CAP_SYNC_REGS.
   *
   * @param most exits that come before others get a turn
   * @internal
   */
  runInto(log: ExitLog, deadline: Duration, most: number): RunOutcome {
    return this.#entry.runInto(log, deadline, most);
  }

  #start(options: StartOptions, log?: ExitLog): VcpuRun {
    this.#refuseStarted();
    const native = this.#runnable();
    const rip = (this.#host.checkExtension('KVM_CAP_SYNC_REGS') & KVM_SYNC_X86_REGS) !== 0;
    const context: RunContext = {
      refuse: () => void this.#runnable(),
      budget: this.#host.budget,
      entries: this.#lastExit,
      kvmRun: this.#run.view,
      rip,
    };
    this.#thread = VcpuRun.of(this, native, options, context, log);
    return this.#thread;
  }

  #refuseStarted(): void {
    if (this.#thread?.alive) throw new VcpuBusyError(this.vcpuId, 'has a thread already');
  }

  #runnable(): NativeVcpu {
    const native = this.native;
    this.#refuseStarted();
    if (!this.#host.hasMemory()) throw new NoMemoryError(this.vcpuId);
    return native;
  }

  /** @internal Whatever is asked of the kernel here: what kvm_run says of the registers may be no longer so. */
  protected override call(request: number, ask: (native: NativeVcpu) => number, advice?: string): number {
    this.#lastExit.touched();
    return super.call(request, ask, advice);
  }

  /** Ends the vCPU's thread, if it has one, and closes the file descriptor. Throws VcpuStopError after 5 s. */
  override close(): void {
    try {
      super.close();
    } catch (error) {
      throw (error as { code?: string }).code === 'ERR_VCPU_STOP' ? new VcpuStopError(this.vcpuId, 5000) : error;
    } finally {
      this.#thread?.closed();
    }
  }

  /**
   * One KVM_RUN, on this thread: the event loop waits. Tells what happened and throws for misuse alone.
   *
   * @throws NoMemoryError if the VM has no memory; VcpuBusyError if it has a thread; ClosedError; ArgumentError for the
   *   deadline
   */
  runRaw(deadline: Duration = DEFAULT_DEADLINE): RunOutcome {
    return this.#entry.runRaw(deadline);
  }

  /**
   * Runs the guest, on this thread, until it exits, and decodes the exit. KVM_RUN's EAGAIN (an AP has taken INIT or
   * SIPI) is no exit: the vCPU is entered again.
   *
   * @throws DeadlineError when the guest does not exit in time; IoctlError (KVM_RUN: EFAULT, EINVAL...); NoMemoryError
   */
  run(options?: RunOptions): Exit {
    return this.#entry.run(options);
  }

  /** Where it is, in one line for a person. */
  registerReport(): string {
    const { rip, rax, rflags } = this.getRegs();
    return `vCPU ${this.vcpuId}: rip ${hex(rip)}, rax ${hex(rax)}, rflags ${hex(rflags)}`;
  }

  /** Decodes the exit that lies in kvm_run now. */
  exit(profile: DsmProfile = this.profile): Exit {
    void super.native;
    return decodeExit(this.#run, profile);
  }

  /**
   * When the last exit came: CLOCK_MONOTONIC in nanoseconds, as `process.hrtime` has it, read right after KVM_RUN, on
   * whichever thread that was. 0 before the first. In `onExit` and in the body of `for await` it is the time of that exit.
   */
  get exitNs(): number {
    return this.#lastExit.ns;
  }

  /**
   * RIP and RCX, as `getRegs()` has them. From the first call on each KVM_RUN leaves the general registers in kvm_run
   * (where KVM_CAP_SYNC_REGS offers that), so that right after an exit no ioctl is needed for them.
   *
   * @throws VcpuBusyError while a thread has it in the guest; ClosedError
   */
  exitRegs(): ExitRegs {
    return this.#lastExit.regs();
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
    return this.#entry.settle();
  }

  /**
   * Answers a KVM_EXIT_IO whose direction is `in`, or a KVM_EXIT_MMIO that is a read: the next KVM_RUN gives it to the
   * guest. A read that nobody answers is all ones, as on a PC where no device is. Until the next KVM_RUN the last answer
   * counts.
   *
   * @param answer a number that fits into `size` (`len`) bytes, lowest byte first, for each of the exit's `count`
   *   accesses; or the size * count bytes
   * @throws ExitMismatchError; ArgumentError; VcpuBusyError; ClosedError
   */
  completeRead(answer: ReadAnswer): void {
    completeRead(this.#vcpu.run(), answer);
  }

  /** Answers a KVM_EXIT_X86_RDMSR: the next KVM_RUN gives the guest this value. Throws ExitMismatchError; ArgumentError. */
  completeRdmsr(data: bigint): void {
    completeRdmsr(this.#vcpu.run(), data);
  }

  /** Answers a KVM_EXIT_X86_WRMSR: the write is done. Throws ExitMismatchError. */
  completeWrmsr(): void {
    completeWrmsr(this.#vcpu.run());
  }

  /** Answers either: the next KVM_RUN gives the guest a #GP. Throws ExitMismatchError. */
  failMsr(): void {
    failMsr(this.#vcpu.run());
  }

  /**
   * Answers a KVM_EXIT_HYPERV of type 2: the next KVM_RUN gives the guest this result of its hypercall; bits 15:0 are the
   * status, 0 for success. Throws ExitMismatchError; ArgumentError.
   */
  completeHypervHcall(result: bigint): void {
    completeHypervHcall(this.#vcpu.run(), result);
  }

  /**
   * Answers a KVM_EXIT_HYPERV of type 3: what the synthetic debugger's status MSR reads from now on, where the guest
   * wrote its control MSR. Throws ExitMismatchError; ArgumentError.
   */
  completeHypervSyndbg(status: bigint): void {
    completeHypervSyndbg(this.#vcpu.run(), status);
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

  /** KVM_GET_REGS. */
  getRegs(): KvmRegs {
    return this.#registers.getRegs();
  }

  /** KVM_SET_REGS: the registers that `regs` names; the others keep their values. */
  setRegs(regs: Partial<KvmRegs>): void {
    this.#registers.setRegs(regs);
  }

  /** KVM_GET_SREGS: segments, descriptor tables, control registers, the APIC base. */
  getSregs(): KvmSregs {
    return this.#registers.getSregs();
  }

  /** @internal IA32_APIC_BASE: of KVM_GET_SREGS, unless nothing can have changed it since the last one. */
  apicBase(): bigint {
    void this.native;
    const known = this.#lastExit.apicBase;
    if (known !== null) return known;
    const apicBase = this.#registers.getApicBase();
    // A thread goes into the guest without telling of each time.
    if (!this.#thread?.alive) this.#lastExit.apicBase = apicBase;
    return apicBase;
  }

  /** @internal Something was done to the VM that may have changed IA32_APIC_BASE. */
  forgetApicBase(): void {
    this.#lastExit.apicBase = null;
  }

  /** KVM_SET_SREGS. Throws IoctlError (EINVAL for a state that no CPU can be in). */
  setSregs(sregs: KvmSregs): void {
    this.#registers.setSregs(sregs);
  }

  /** KVM_GET_SREGS2: like KVM_GET_SREGS, with the PDPTRs. Throws IoctlError (ENOTTY before Linux 5.14). */
  getSregs2(): KvmSregs2 {
    return this.#registers.getSregs2();
  }

  /** KVM_SET_SREGS2. Throws IoctlError (EINVAL for a state that no CPU can be in, or a flag that is not known). */
  setSregs2(sregs: KvmSregs2): void {
    this.#registers.setSregs2(sregs);
  }

  /** KVM_GET_FPU: the x87 and SSE registers, without MXCSR: KVM leaves `mxcsr` 0. It is in the XSAVE area (byte 24). */
  getFpu(): KvmFpu {
    return this.#registers.getFpu();
  }

  /**
   * KVM_SET_FPU: the registers that `fpu` names; the others keep their values. KVM ignores `mxcsr`; and while the XSAVE
   * header (XSTATE_BV, bits 0 and 1) calls x87 and SSE unused, as after reset, it keeps their initial values:
   * `setXsave` has neither gap.
   */
  setFpu(fpu: Partial<KvmFpu>): void {
    this.#registers.setFpu(fpu);
  }

  /** Bytes of the XSAVE area of a vCPU of this VM: KVM_CAP_XSAVE2's answer, 4096 at least. */
  get xsaveSize(): number {
    return this.#registers.xsaveSize;
  }

  /**
   * KVM_GET_XSAVE2, or KVM_GET_XSAVE on kernels without it: the XSAVE area, `xsaveSize` bytes in the standard format of
   * the XSAVE instruction (Intel SDM volume 1, chapter 13).
   */
  getXsave(): Uint8Array<ArrayBuffer> {
    return this.#registers.getXsave();
  }

  /** KVM_SET_XSAVE. Throws ArgumentError unless it has `xsaveSize` bytes; IoctlError (EINVAL for a header that is not valid). */
  setXsave(area: Uint8Array): void {
    this.#registers.setXsave(area);
  }

  /** KVM_GET_XCRS: extended control registers; `xcr` 0 is XCR0. */
  getXcrs(): KvmXcr[] {
    return this.#registers.getXcrs();
  }

  /** KVM_SET_XCRS: at most 16. Throws IoctlError (EINVAL for a value that the vCPU's CPUID does not allow). */
  setXcrs(xcrs: readonly KvmXcr[]): void {
    this.#registers.setXcrs(xcrs);
  }

  /** KVM_GET_DEBUGREGS: the guest's own DR0..DR3, DR6 and DR7. */
  getDebugregs(): KvmDebugregs {
    return this.#registers.getDebugregs();
  }

  /** KVM_SET_DEBUGREGS: those that `debugregs` names; the others keep their values. Throws IoctlError (EINVAL). */
  setDebugregs(debugregs: Partial<KvmDebugregs>): void {
    this.#registers.setDebugregs(debugregs);
  }

  /**
   * KVM_TRANSLATE: where a linear address of the guest leads by its page tables now. `writeable` and `usermode` say
   * nothing: KVM fills them with constants.
   *
   * @returns `valid` 0 if no page is there
   */
  translate(linearAddress: number | bigint): KvmTranslation {
    return this.#registers.translate(linearAddress);
  }

  /**
   * KVM_GET_MSRS: the values, in the order of `indices`.
   *
   * @param indices MSR numbers, 0 to 2^32-1
   * @throws MsrRefusedError that names the first MSR that the vCPU lacks; ArgumentError
   */
  getMsrs(indices: readonly number[]): bigint[] {
    return this.#msrs.getMsrs(indices);
  }

  /** KVM_GET_MSRS of one MSR. Throws MsrRefusedError. */
  getMsr(index: number): bigint {
    return this.#msrs.getMsr(index);
  }

  /**
   * KVM_SET_MSRS, in the order of the list. It goes past the guest's own permissions: read-only MSRs of a guest may be set.
   *
   * @throws MsrRefusedError that names the first MSR, or value, that was refused: those before it are set; ArgumentError
   */
  setMsrs(msrs: readonly KvmMsrEntry[]): void {
    this.#msrs.setMsrs(msrs);
  }

  /** KVM_SET_MSRS of one MSR. Throws MsrRefusedError. */
  setMsr(index: number, data: bigint): void {
    this.#msrs.setMsr(index, data);
  }

  /** KVM_GET_CPUID2: what `setCpuid2` set; a new vCPU has none. */
  getCpuid2(): KvmCpuidEntry2[] {
    return this.#features.getCpuid2();
  }

  /**
   * KVM_SET_CPUID2: what the guest's CPUID instruction answers, and what the vCPU can do. Before its first run.
   *
   * @param cpuid at most 256 entries, such as `kvm.supportedCpuid()`
   * @throws ArgumentError; IoctlError (KVM_SET_CPUID2: EINVAL for a CPUID that KVM cannot give, or after a run)
   */
  setCpuid2(cpuid: Cpuid): void {
    this.#features.setCpuid2(cpuid);
  }

  /** KVM_GET_TSC_KHZ: the frequency of the guest's TSC. Throws IoctlError (EIO if the host's is not stable). */
  getTscKhz(): number {
    return this.#features.getTscKhz();
  }

  /**
   * KVM_SET_TSC_KHZ.
   *
   * @param khz 1 to 2^31-1; a frequency other than the host's needs KVM_CAP_TSC_CONTROL
   * @throws ArgumentError; IoctlError (KVM_SET_TSC_KHZ: EINVAL for a frequency that the host cannot give)
   */
  setTscKhz(khz: number): void {
    this.#features.setTscKhz(khz);
  }

  /** KVM_KVMCLOCK_CTRL: tells the guest, by its kvmclock, that it was paused. Throws IoctlError (EINVAL without kvmclock). */
  kvmclockCtrl(): void {
    this.#features.kvmclockCtrl();
  }

  /**
   * KVM_ENABLE_CAP on this vCPU.
   *
   * @param args up to four values that the capability defines
   * @throws UnsupportedError if the VM lacks the capability; RefusedIoctlError for one whose arguments are an address or
   *   a file descriptor; IoctlError (KVM_ENABLE_CAP: EINVAL for a capability that is none of a vCPU's); ArgumentError
   */
  enableCap(cap: CapabilityName | number, args: readonly bigint[] = []): void {
    this.#features.enableCap(cap, args);
  }

  /** What `enableCap` enabled, in order. */
  get enabledCaps(): readonly EnabledCap[] {
    return this.#features.enabledCaps;
  }

  /** KVM_GET_LAPIC: the first 1024 bytes of the APIC page. Throws NoIrqchipError (EINVAL without an in-kernel LAPIC). */
  getLapic(): Uint8Array {
    return this.#lapic.getLapic();
  }

  /** KVM_SET_LAPIC: the first 1024 bytes of the APIC page. Throws NoIrqchipError; IoctlError (EINVAL for another APIC id). */
  setLapic(regs: Uint8Array): void {
    this.#lapic.setLapic(regs);
  }

  /** KVM_GET_LAPIC, decoded: every register by name, and which vectors are requested and in service. */
  lapic(): Lapic {
    return this.#lapic.lapic();
  }

  /** KVM_SET_LAPIC: the registers that `registers` names, each 0..2^32-1; the others keep their values. */
  setLapicRegisters(registers: Partial<Record<LapicRegisterName, number>>): void {
    this.#lapic.setLapicRegisters(registers);
  }

  /** KVM_GET_MP_STATE: a KVM_MP_STATE_* value. It makes KVM act on an INIT or SIPI that is pending. */
  getMpState(): number {
    return this.#events.getMpState();
  }

  /** KVM_SET_MP_STATE. Throws IoctlError (EINVAL for a state that x86 does not have). */
  setMpState(mpState: number): void {
    this.#events.setMpState(mpState);
  }

  /** KVM_GET_VCPU_EVENTS: exceptions, interrupts, NMIs and SMIs that are on their way. */
  getVcpuEvents(): KvmVcpuEvents {
    return this.#events.getVcpuEvents();
  }

  /**
   * KVM_SET_VCPU_EVENTS: the parts that `events` names; the others keep their values. KVM_VCPUEVENT_VALID_* bits of
   * `flags` say which of the optional fields count.
   *
   * @throws IoctlError (EINVAL for a flag or an exception that the kernel does not take)
   */
  setVcpuEvents(events: Partial<KvmVcpuEvents>): void {
    this.#events.setVcpuEvents(events);
  }

  /**
   * KVM_INTERRUPT: an interrupt from a controller in user space. With a split irqchip it waits until the guest can take it.
   * Without irqchip KVM gives it to the guest at once, whatever RFLAGS.IF says: it is refused here until the guest can take
   * it. Takes back what `requestInterruptWindow` asked for.
   *
   * @param vector 0 to 255
   * @throws InterruptWindowError without irqchip: RFLAGS.IF is 0, an interrupt shadow, or one that waits already;
   *   IoctlError (KVM_INTERRUPT: ENXIO with an in-kernel PIC; with a split irqchip EEXIST if one waits already);
   *   ArgumentError; VcpuBusyError; ClosedError
   */
  interrupt(vector: number): void {
    this.#events.interrupt(vector);
  }

  /**
   * kvm_run.request_interrupt_window: KVM_RUN leaves the guest by KVM_EXIT_IRQ_WINDOW_OPEN as soon as it can take an interrupt,
   * and each time again until this is taken back (`false`) or `interrupt()` has used it. For VMs without an in-kernel PIC.
   *
   * @throws VcpuBusyError while a thread has it in the guest; ClosedError
   */
  requestInterruptWindow(wanted = true): void {
    void this.native;
    this.#events.requestWindow(checkBoolean('wanted', wanted));
  }

  /**
   * kvm_run.ready_for_interrupt_injection: `interrupt()` can be called, as the last KVM_RUN left it; false before the first.
   * With an in-kernel PIC always true after a KVM_RUN. Throws ClosedError.
   */
  get readyForInterruptInjection(): boolean {
    void super.native;
    return this.#run.readyForInterruptInjection !== 0;
  }

  /** kvm_run.if_flag: the guest's RFLAGS.IF, as the last KVM_RUN left it; false before the first. Throws ClosedError. */
  get ifFlag(): boolean {
    void super.native;
    return this.#run.ifFlag !== 0;
  }

  /** KVM_NMI: the guest gets vector 2 as soon as it can. */
  nmi(): void {
    this.#events.nmi();
  }

  /** KVM_SMI. Throws IoctlError (ENOTTY or EINVAL where KVM_CAP_X86_SMM is missing). */
  smi(): void {
    this.#events.smi();
  }

  /**
   * KVM_SET_GUEST_DEBUG: single-step, breakpoints; nothing switches debugging off.
   *
   * @throws ArgumentError; IoctlError (KVM_SET_GUEST_DEBUG)
   */
  debug(options: DebugOptions): void {
    this.#debug.debug(options);
  }

  /**
   * KVM_SET_GUEST_DEBUG, bit by bit. x86 kernels ignore control bits that they do not know: KVM_CAP_SET_GUEST_DEBUG2 tells.
   *
   * @throws IoctlError (EBUSY if an exception is pending and KVM_GUESTDBG_INJECT_DB or _BP would add one); ArgumentError
   */
  setGuestDebug(debug: Partial<KvmGuestDebug>): void {
    this.#debug.setGuestDebug(debug);
  }

  /** What KVM_SET_GUEST_DEBUG was called with last, without injections: the kernel cannot be asked. */
  get guestDebug(): Readonly<Partial<KvmGuestDebug>> {
    return this.#debug.guestDebug;
  }

  /**
   * kvm_run.kvm_valid_regs: which registers each KVM_RUN shall leave in kvm_run, for `syncRegs()`: no ioctl is needed to
   * read them then.
   *
   * @throws UnsupportedError for a group that KVM_CAP_SYNC_REGS does not offer
   */
  requestSyncRegs(groups: SyncGroups): void {
    this.#syncRegs.requestSyncRegs(groups);
  }

  /** The registers that the last KVM_RUN left in kvm_run; those that `requestSyncRegs` did not name are not up to date. */
  syncRegs(): KvmSyncRegs {
    return this.#syncRegs.syncRegs();
  }

  /**
   * Puts registers into kvm_run, which the next KVM_RUN takes (kvm_run.kvm_dirty_regs). Whole groups: begin with what
   * `syncRegs()` gave.
   *
   * @throws UnsupportedError; ArgumentError
   */
  setSyncRegs(regs: Partial<KvmSyncRegs>): void {
    this.#syncRegs.setSyncRegs(regs);
  }
}
