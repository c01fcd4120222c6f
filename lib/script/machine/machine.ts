/** The front of a machine: what scripts and checks see of it. */
import { readLapicRegister } from '../../abi/apic/lapic.ts';
import type { DsmProfile } from '../../abi/dsm/profiles.ts';
import type { MsiMessage } from '../../abi/kvm/gsi-route.ts';
import { KVM_SYNC_X86_REGS } from '../../abi/kvm/kvm-run.ts';
import { checkInteger } from '../../base/check.ts';
import { ArgumentError, ClosedError } from '../../base/errors.ts';
import { show } from '../../base/text.ts';
import type { Exit } from '../../exit/exit.ts';
import type { GuestLayout } from '../../guest/layout.ts';
import type { GuestMemory } from '../../kvm/guest-memory.ts';
import type { Kvm } from '../../kvm/kvm.ts';
import { ExitLog } from '../../kvm/vcpu/run/exit-log.ts';
import type { Vcpu } from '../../kvm/vcpu/vcpu.ts';
import type { VmAct } from '../../kvm/vm/acts.ts';
import type { ApicBaseReplay, IpiReplay, ReplayOptions, X2apicReplay } from '../../kvm/vm/injection.ts';
import { isUsualSlot } from '../../kvm/vm/memory.ts';
import type { Vm } from '../../kvm/vm/vm.ts';
import type { Cluster, NodeReport } from '../../node/cluster.ts';
import type { Crossings, NodeIpi } from '../../node/crossings.ts';
import type { ShardMachine } from '../../node/shard-machine.ts';
import { diagram } from '../../picture/diagram.ts';
import { pictureOfPart } from '../../picture/picture.ts';
import type { DeliveryTarget } from '../../picture/target.ts';
import type { Act, TraceExit } from '../../trace/event.ts';
import { LoggedEvents } from '../../trace/store.ts';
import { expectExactlyOnce } from '../expect/deliveries.ts';
import { Trace } from '../expect/trace.ts';
import type { Explored, ExploredProgram, ExploreOptions, Invariant } from '../explore/options.ts';
import { type CodePiece, codePieces } from '../failure/pieces.ts';
import { FailureReport } from '../failure/report.ts';
import { eventsOf, type Snapshot, snapshotVcpu } from '../failure/snapshot.ts';
import { Session } from '../session.ts';
import { ApicHistory } from './apic-history.ts';
import { build, closeParts } from './build.ts';
import { deliveryTarget, waitingOf } from './delivery-target.ts';
import { type JoinOptions, joinNodes, joinShards } from './nodes.ts';
import { checkSetup, type MachineOptions, type MachineSetup } from './options.ts';
import { type AddressRange, type AnswerOf, type MmioRead, type PortRead, Reads } from './reads.ts';
import { Recorder } from './recorder.ts';
import { RipSamples } from './rip-samples.ts';
import { type RunUntilOptions, run } from './run.ts';
import type { MachineVcpu } from './vcpu.ts';

export type { MachineOptions, NodeOptions, TransportOfNode } from './options.ts';
export type { AddressRange, AnswerOf, MmioRead, PortRead } from './reads.ts';
export type { RunUntilOptions } from './run.ts';

/** A VM with memory, vCPUs and a trace of every exit. */
export class Machine implements AsyncDisposable, Disposable {
  /** The device that the machine was made with; closed with the machine. */
  readonly kvm: Kvm;
  /** The VM itself, for what the kit has no method for. Of several nodes: the first one's. */
  readonly vm: Vm;
  /** By node: the VM of each. */
  readonly vms: readonly Vm[];
  /** All of the guest memory, from guest physical address 0. */
  readonly memory: GuestMemory;
  /** What has happened so far, in order: exits of all vCPUs, and what the script did. */
  readonly trace: Trace;
  /** The series of patches whose exits and ioctls are expected of the kernel. */
  readonly profile: DsmProfile;
  /** What the script asked for: true leaves APICv as the host has it. */
  readonly apicv: boolean;
  /** Who has the interrupt controllers: KVM all of them (full), KVM the local APICs alone (split), or nobody. */
  readonly irqchip: 'full' | 'split' | 'none';
  /** First guest physical address that belongs to the script alone, page-aligned: memory that all vCPUs can share. */
  readonly shared: number;
  readonly #session: Session;
  readonly #vcpus: readonly MachineVcpu[];
  readonly #recorder: Recorder;
  readonly #log: ExitLog;
  readonly #events: LoggedEvents;
  readonly #samples = new RipSamples();
  readonly #apics = new ApicHistory();
  readonly #layout: GuestLayout;
  readonly #reads = new Reads();
  readonly #setup: MachineSetup;
  #cluster: Cluster | ShardMachine | null = null;
  /** Its VMs give nobody what their exits tell of: its nodes do. */
  readonly #defers: boolean;
  /** Of several nodes. */
  #crossings: Crossings | null = null;
  #wroteIcr = false;
  /** Runs that have begun, and that have ended. */
  #runs = { begun: 0, ended: 0 };
  readonly #closing = new AbortController();

  /** Use `machine()`. */
  constructor(options: MachineOptions) {
    const session = Session.current;
    const setup = checkSetup(options, session);
    this.#setup = setup;
    this.#session = session;
    this.profile = setup.profile;
    this.apicv = setup.apicv;
    this.irqchip = setup.irqchip;
    this.#layout = setup.layout;
    this.shared = setup.layout.end;
    const born = process.hrtime.bigint();
    this.#log = new ExitLog(setup.profile);
    const homes = setup.transport === null ? undefined : setup.homes;
    this.#events = new LoggedEvents(this.#log, Number(born), homes);
    this.trace = new Trace(() => this.#snapshot(), born);
    this.trace.keepIn(this.#events);
    const recorder = new Recorder(this, this.#events, this.#log, {
      observer: session.observer,
      profile: setup.profile,
    });
    this.#recorder = recorder;
    // The device that it opens keeps to the session's budget.
    const { kvm, vms, memory, vcpus, defers } = session.run(() => build(setup, (act) => this.#act(act)));
    this.#defers = defers;
    const [vm] = vms as [Vm, ...Vm[]];
    this.kvm = kvm;
    this.vm = vm;
    this.vms = vms;
    this.memory = memory;
    this.#vcpus = vcpus;
    if (setup.transport === null)
      vm.onActInto(
        this.#log,
        () => recorder.tell(),
        (act) => recorder.act(act),
      );
    else for (const [at, one] of vms.entries()) one.onAct((act) => this.#act(act, setup.shard?.node ?? at));
    try {
      session.observer.machine?.(this);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The vCPU with this vcpu_id. Throws ArgumentError if the machine has none. */
  vcpu(id: number): MachineVcpu {
    const found = Number.isInteger(id) ? this.#vcpus[id] : undefined;
    if (!found)
      throw new ArgumentError(
        'id',
        `The machine has no vCPU ${show(id)}`,
        `Its vCPUs are 0 to ${this.#vcpus.length - 1}.`,
      );
    return found;
  }

  /** All vCPUs, by vcpu_id from 0 on. */
  get vcpus(): readonly MachineVcpu[] {
    return this.#vcpus;
  }

  /**
   * Joins its nodes, if it has several; what `machine()` does.
   *
   * @internal
   */
  async join(way: JoinOptions = {}): Promise<this> {
    const { transport, homes, shard } = this.#setup;
    if (transport === null) return this;
    const { Crossings: OwnCrossings } = await import('../../node/crossings.ts');
    const crossings = new OwnCrossings(Number(this.trace.born));
    this.#crossings = crossings;
    const defers = this.#defers;
    if (shard) this.#cluster = await joinShards(this.vm, shard, { defers, crossings });
    else this.#cluster = await joinNodes(this.vms, homes, transport, { defers, crossings, ...way });
    return this;
  }

  /**
   * By node: what it has sent to others and got from them. Empty for a machine of one node. Of nodes in other processes it is what they
   * have said at the end of the last run.
   */
  get nodes(): readonly NodeReport[] {
    return this.#cluster?.reports ?? [];
  }

  /**
   * The interrupts that went from one of its nodes to others, from the `from`-th on, in the order in which they were sent: who wrote what, to which nodes
   * and vCPUs it came, and when. Empty for a machine of one node.
   *
   * A handler's time is known where it told the host (`run({ tell: true })`, or `until: { handled }`), and after the end of that run. By `kvm-dsm node`, where the others
   * have clocks of their own, of this node's interrupts `sent` and `handed` are known, and of the others' `replayed` and `handled`.
   *
   * @throws ArgumentError
   */
  nodeIpis(from = 0): readonly NodeIpi[] {
    return this.#crossings?.list(checkInteger('from', from, 0, Number.MAX_SAFE_INTEGER)) ?? [];
  }

  #act(act: Act | VmAct, node?: number): void {
    if ('act' in act && act.act === 'kick') this.#recorder.act(act, node);
    else {
      this.#crossings?.acted();
      const of = this.#crossings?.replayOf;
      const isTold = of !== undefined && this.vcpu(of).runsHere;
      this.#recorder.act(isTold ? { ...act, replayOf: of } : act, node);
    }
  }

  /** A run of several nodes is over: what waits still in those that can be asked. */
  #concludeCrossings(): void {
    const asked = new Map<number, ReadonlySet<number> | undefined>();
    this.#crossings?.conclude((id, vector) => {
      if (!asked.has(id))
        asked.set(
          id,
          ifTold(() => waitingOf(this.vcpu(id).vcpu)),
        );
      return asked.get(id)?.has(vector);
    });
  }

  /** The node that runs a vCPU, of several. */
  #nodeOf(vcpu: number): number | undefined {
    return this.#setup.transport === null ? undefined : this.#setup.homes[vcpu];
  }

  /** The only VM. What is done to one of several would be done to replicas, or at a part of the machine. */
  #only(method: string): Vm {
    if (this.#setup.transport === null) return this.vm;
    throw new ArgumentError(
      method,
      `${method}() of a machine of several nodes: it does not say which of them is meant`,
      `Call it of a node's VM: machine.vms[0].${method}().`,
    );
  }

  /**
   * KVM_SIGNAL_MSI, in the trace: an interrupt as a device's message. Returns false if the guest blocked it. Of several nodes each gets
   * it, and gives it to those of its vCPUs that it is for.
   */
  signalMsi(message: MsiMessage): boolean {
    return this.vms.map((vm) => vm.signalMsi(message)).some((delivered) => delivered);
  }

  /** KVM_IRQ_LINE, in the trace: a line of the in-kernel interrupt controllers. */
  irqLine(gsi: number, level: boolean): void {
    this.#only('irqLine').irqLine(gsi, level);
  }

  /** KVM_DSM_IPI, in the trace: `vm.dsmIpi`, which says what it throws. The vCPU must not be running. */
  dsmIpi(write: IpiReplay, options: ReplayOptions = {}): void {
    this.#only('dsmIpi').dsmIpi(write, options);
  }

  /** KVM_DSM_X2APIC, in the trace: `vm.dsmX2apic`, which says what it throws. The vCPU must not be running. */
  dsmX2apic(write: X2apicReplay, options: ReplayOptions = {}): void {
    this.#only('dsmX2apic').dsmX2apic(write, options);
  }

  /** KVM_DSM_APIC_BASE, in the trace: `vm.dsmApicBase`, which says what it throws. The vCPU must not be running. */
  dsmApicBase(write: ApicBaseReplay, options: ReplayOptions = {}): void {
    this.#only('dsmApicBase').dsmApicBase(write, options);
  }

  /**
   * Answers each `in` from this port that leaves KVM: `m.onPortRead(0x3fd, 0x20)`. What it said before for the same port
   * no longer counts. A read that nobody answers is all ones. `until` gets the exit after it and may answer otherwise
   * (`vcpu.completeRead`).
   *
   * @param port 0 to 0xffff: the first port of the access
   * @param answer what is read (see `vcpu.completeRead`), or a function of the exit that returns it; what it throws ends
   *   the run
   * @throws ArgumentError
   */
  onPortRead(port: number, answer: AnswerOf<PortRead>): this {
    this.#reads.port(port, answer);
    return this;
  }

  /** The same for each read of guest memory that nobody has, by its first byte. Of ranges that overlap the last counts. */
  onMmioRead(range: AddressRange, answer: AnswerOf<MmioRead>): this {
    this.#reads.mmio(range, answer);
    return this;
  }

  /**
   * Runs the vCPUs that have a program until what `until` says: several side by side, each on its own thread; one by
   * turns on this thread, which costs least. Other work of the process goes on meanwhile. An exit of another vCPU that
   * meets the end of the run is in the trace after the one that ended it.
   *
   * Each error names the cause first, as far as the machine's state tells it, and has the state in its `report`.
   *
   * @throws DeadlineError if it does not come in time; NotReceivedError if the run waits for a handled interrupt that was sent
   *   and not received; GuestFailureError if a guest cannot go
   *   on, GuestFaultError if it had an exception that it does not handle (and `until` did not wait for that);
   *   GuestAssertionError if an assertion of the guest did not hold; IoctlError (KVM_RUN)
   */
  async run(options: RunUntilOptions = {}): Promise<Trace> {
    this.#lookAtApics();
    try {
      return await this.#unlessClosed('run()', () => this.#run(options));
    } finally {
      this.#lookAtApics();
      this.#concludeCrossings();
      this.#session.observer.ran?.(this);
    }
  }

  /**
   * Runs programs under one schedule after the other, from the same beginning, and looks at the end of each whether an invariant
   * holds: docs/schedules.md. All vCPUs are driven from one thread, a step at a time. The machine begins as it is when this is
   * called: write its memory before. Afterwards it is so again. Exits stand neither in the trace nor in what `kvm-dsm run` prints.
   *
   * Between schedules go back: memory that the guests wrote, registers, local APICs, mp_state and pending events. FPU, MSRs outside
   * of the APIC, and devices do not.
   *
   * @param programs by vcpu_id; `null` for a vCPU that runs nothing
   * @param invariant see `Invariant`
   * @returns when it has held under all of them
   * @throws InvariantError with the schedule that breaks it, made simpler; ScheduleError for a `schedule` that does not fit;
   *   ScheduleLengthError if one has more than `longest` steps; DeadlineError; what `vcpu.program()` throws; ArgumentError
   */
  async explore(
    programs: readonly (ExploredProgram | null)[],
    invariant: Invariant<Machine>,
    options: ExploreOptions = {},
  ): Promise<Explored> {
    if (this.#setup.shard)
      throw new ArgumentError(
        'explore',
        'explore() drives all vCPUs of a machine, and some of them run in other processes',
        'Run the script by `kvm-dsm run` or `kvm-dsm explore --schedules`.',
      );
    const { explore } = await import('../explore/explore.ts');
    const explored = {
      machine: this,
      session: this.#session,
      tellAll: (told: boolean) => {
        for (const { id } of this.#vcpus)
          this.memory.write(this.#layout.told(id), new Uint8Array(256).fill(told ? 1 : 0));
      },
      answer: (vcpu: Vcpu, exit: Exit) => this.#reads.see(vcpu, exit),
    };
    return this.#unlessClosed('explore()', () => explore(explored, programs, invariant, options));
  }

  /** What ends because the machine is closed meanwhile says so, and not what it then met. */
  async #unlessClosed<T>(call: string, work: () => Promise<T>): Promise<T> {
    this.#runs.begun += 1;
    try {
      return await work();
    } catch (error) {
      throw this.#closing.signal.aborted ? new ClosedError('the machine', call) : error;
    } finally {
      this.#runs.ended += 1;
    }
  }

  /** Whom an IPI of a run names is asked of the APICs as they were then. */
  #lookAtApics(): void {
    if (this.irqchip === 'none' || this.vm.closed) return;
    try {
      this.#apics.take(this.#vcpus, this.trace.size);
    } catch {
      // A VM that KVM has given up answers nothing, and what the run ended by is what the script has to know.
    }
  }

  /** Where the kernel cannot tell the registers without being asked each exit is looked at. */
  #logsExits(): boolean {
    const synced = this.vm.checkExtension('KVM_CAP_SYNC_REGS') & KVM_SYNC_X86_REGS;
    return synced !== 0;
  }

  async #run(options: RunUntilOptions): Promise<Trace> {
    const { trace } = this;
    await run(
      {
        closing: this.#closing.signal,
        session: this.#session,
        trace,
        vcpus: this.#vcpus,
        samples: this.#samples,
        profile: this.profile,
        log: this.#logsExits() ? this.#log : null,
        nodes: this.#cluster ?? undefined,
        look: () => this.#recorder.tell(),
        settle: () => {
          for (const { id } of this.#vcpus) this.#log.takeParked(id);
          this.#events.settle();
          this.#recorder.tell();
        },
        record: (vcpu, exit) => {
          const one = this.vcpu(vcpu.vcpuId);
          one.hypervisorSees(exit);
          const event = this.#recorder.exit(one, this.memory, exit, this.#nodeOf(one.id));
          if (event.word?.kind === 'handled') this.#crossings?.handled(one.id, event.word.vector, vcpu.exitNs);
          this.#cluster?.see(vcpu, exit);
          this.#reads.see(vcpu, exit);
          if (exit.name === 'KVM_EXIT_IRQ_WINDOW_OPEN') one.giveInterrupt();
          return event;
        },
        report: (ending) => {
          const event = ending.kind === 'exit' ? ending.event : undefined;
          return new FailureReport(this.#snapshot(event), ending);
        },
      },
      options,
    );
    return trace;
  }

  /**
   * Checks that every fixed IPI among the forwarded ICR writes was handled exactly once by each vCPU that it names, and
   * each of lowest priority by one of them: the trace against the counters of the machine's handlers.
   *
   * What cannot be told is no accusation: the error says that it is not judged and why, such as an APIC that was changed in
   * the run of the IPI, two of one vector that may have become one, one that still waits in IRR, a vector that the program
   * handles itself, or that a timer or the script brings as well.
   *
   * @param vectors only these, 32 to 255. Give them if IPIs also come by ways that the kernel does not forward.
   * @throws ExpectationError with sent and handled side by side; also if there was no such IPI; NotReceivedError, which is one,
   *   if one was sent and not received; ArgumentError
   */
  expectExactlyOnce(vectors?: readonly number[]): void {
    expectExactlyOnce(
      this.trace,
      this.#here.map((one) => this.#target(one)),
      vectors,
    );
  }

  /** Those that run in this process. */
  get #here(): readonly MachineVcpu[] {
    return this.#vcpus.filter(({ runsHere }) => runsHere);
  }

  #target(one: MachineVcpu): DeliveryTarget {
    const vm = this.#setup.shard ? this.vm : this.vms[this.#setup.homes[one.id]!]!;
    return deliveryTarget(one, this.#apics.of(one.id), this.#layout, vm);
  }

  /**
   * What happened, as plain text of at most 72 columns: one column for each vCPU, time downwards, interrupts as arrows, and
   * what was lost or came twice marked. Of a long trace the part around that, or else the end. Empty without events.
   */
  diagram(): string {
    return diagram(pictureOfPart(eventsOf(this.trace), this.targets)).join('\n');
  }

  /**
   * Its vCPUs as destinations of IPIs, as they are now: those that can be asked.
   *
   * @internal
   */
  get targets(): readonly DeliveryTarget[] {
    return this.vm.closed ? [] : this.#here.flatMap((one) => ifTold(() => this.#target(one)) ?? []);
  }

  /** What everything is like now. */
  #snapshot(fault?: TraceExit): Snapshot {
    const { born } = this.trace;
    if (this.vm.closed)
      return { vcpus: [], ...eventsOf(this.trace), note: 'vCPUs: the machine is closed, their state is gone' };
    return {
      vcpus: this.#here.map((one) => {
        const own = fault?.vcpu === one.id ? fault.fault : undefined;
        const samples = this.#samples.of(one.id);
        const slots = [...this.vm.slots.values()].filter(isUsualSlot);
        const target = ifTold(() => this.#target(one));
        return { ...snapshotVcpu(one, this.memory, slots, samples, own), ...(target && { target }) };
      }),
      ...eventsOf(this.trace),
      during: { from: born, to: process.hrtime.bigint() },
    };
  }

  /**
   * The code at addresses that RIP had, by vcpu_id, as it is now. Nothing after `close()`.
   *
   * @internal
   */
  codeAt(rips: ReadonlyMap<number, Iterable<bigint>>): CodePiece[] {
    if (this.vm.closed) return [];
    return [...rips].flatMap(([id, addresses]) => {
      const one = this.vcpu(id);
      const of = this.vms[this.#nodeOf(id) ?? 0]!;
      return codePieces(one, [...of.slots.values()].filter(isUsualSlot), addresses);
    });
  }

  /** What goes on in it now, in words: its run, vCPUs on threads of their own. Nothing after `close()`. */
  get leftGoing(): readonly string[] {
    if (this.#runs.begun > this.#runs.ended) return ['a run of a machine'];
    if (this.vm.closed) return [];
    const going = this.#vcpus.filter(({ vcpu }) => vcpu.thread?.alive);
    return going.map(({ id, vcpu }) => `vCPU ${id}, which was started and is ${vcpu.thread!.state}`);
  }

  /** True if it is open and nobody has run it. */
  get unused(): boolean {
    return !this.vm.closed && this.#runs.begun === 0 && this.#vcpus.every(({ vcpu }) => vcpu.thread === null);
  }

  /** True if a LAPIC holds an ICR or ICR2 that a guest has written. Still known after `close()`. */
  get wroteIcr(): boolean {
    if (!this.vm.closed) this.#wroteIcr = this.#vcpus.some(({ vcpu }) => holdsIcr(vcpu));
    return this.#wroteIcr;
  }

  /** Ends the vCPUs, the VM, and this process' hold on the memory. */
  close(): void {
    void this.wroteIcr;
    this.#closing.abort();
    // Its messages go nowhere from now on; what is left of it ends by itself.
    void this.#cluster?.close();
    closeParts(this);
  }

  /** Closes the machine: `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Closes the machine when its vCPUs have stopped: `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cluster?.close();
    this.close();
  }
}

/** A vCPU that runs or that is closed, and one without an in-kernel LAPIC, tell nothing. */
function ifTold<T>(ask: () => T): T | undefined {
  try {
    return ask();
  } catch {
    return undefined;
  }
}

/** Both registers are 0 at reset. */
function holdsIcr(vcpu: Vcpu): boolean {
  try {
    const page = vcpu.getLapic();
    return readLapicRegister(page, 'ICR') !== 0 || readLapicRegister(page, 'ICR2') !== 0;
  } catch {
    return false; // no in-kernel LAPIC
  }
}

/**
 * Makes a machine: memory from guest physical address 0, vCPUs 0, 1, ..., an irqchip.
 *
 * @throws what `Kvm.open` throws if there is no usable KVM here; TransportError if the nodes cannot be joined; ArgumentError
 */
export async function machine(options: MachineOptions = {}): Promise<Machine> {
  const made = new Machine(options);
  try {
    return await made.join();
  } catch (error) {
    made.close();
    throw error;
  }
}
