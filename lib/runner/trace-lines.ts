/** What a run says for `--trace`, line by line: the same where it runs, on a host or in a machine of the lab. */
import { release } from 'node:os';
import type { DsmProfile } from '../abi/dsm/profiles.ts';
import { jsonText } from '../base/text.ts';
import type { EventChoice } from '../host/ftrace/choice.ts';
import { FtraceRecording } from '../host/ftrace/recording.ts';
import { laneHere } from '../host/lane.ts';
import type { NodeIpi } from '../node/crossings.ts';
import {
  codeLine,
  eventLine,
  failureLine,
  headLine,
  kernelLine,
  lossLine,
  machineLine,
  nodeIpiLine,
  stateLine,
  type TraceLine,
} from '../picture/file/records.ts';
import { KernelTrace } from '../script/kernel-trace.ts';
import type { ObservedMachine } from '../script/session.ts';
import { version } from '../target/version.ts';
import { isExit, type TraceEvent } from '../trace/event.ts';
import { ExitPlaces } from './exit-places.ts';

/** How often the kernel's events are written if nothing else happens, in ms. */
const PERIOD = 20;
/** An event of a machine is told so much later at most, in ns: until then the kernel's wait for it. */
const LATE = 100_000_000n;

export class TraceLines {
  readonly #say: (line: string) => void;
  readonly #numbers = new Map<ObservedMachine, number>();
  /** Machines of several processes have numbers of their own. */
  readonly #first: number;
  /** Where exits were whose code the file has, or will have when the run is over. */
  readonly #rips = new WeakMap<ObservedMachine, ExitPlaces>();
  #run = 1;
  #kernel: KernelTrace | undefined;
  #isNews = false;
  /** The machines that were open when all events of the kernel's had last been written, and those made since. */
  #open: ObservedMachine[] = [];

  /** @param ownProcess other processes write into the same file */
  constructor(profile: DsmProfile, ownProcess: boolean, say: (line: string) => void) {
    this.#say = say;
    this.#first = ownProcess ? process.pid * 1000 : 1;
    this.#line(
      headLine({ package: version(), kernel: release(), profile: profile.name, on: laneHere?.name ?? 'host' }),
    );
  }

  #line(line: TraceLine): void {
    this.#say(jsonText(line));
  }

  /**
   * The kernel's own events as well, from now on, if they are not recorded already; until this process ends. In the lab those of all that
   * happens there: nobody else has a virtual machine.
   *
   * @throws KernelEventsError; ArgumentError for an event that the kernel has not
   */
  recordKernel(choice: EventChoice): void {
    if (this.#kernel) return;
    const recording = new FtraceRecording(choice, { ownOnly: laneHere === null });
    const kernel = new KernelTrace(recording, (vcpu) => this.#onlyMachine(vcpu), {
      event: (event) => this.#line(kernelLine(event)),
      loss: (loss) => this.#line(lossLine(loss)),
    });
    this.#kernel = kernel;
    process.once('exit', () => kernel[Symbol.dispose]());
    setInterval(() => {
      kernel.refresh();
      kernel.upTo(process.hrtime.bigint() - LATE);
    }, PERIOD).unref();
  }

  /** That were all events for now: with the next ones, those of the kernel's are looked at that came meanwhile. */
  told(): void {
    this.#isNews = true;
  }

  #allOfKernel(): void {
    if (!this.#kernel) return;
    this.#kernel.all();
    this.#open = this.#open.filter(({ vm }) => !vm.closed);
  }

  #onlyMachine(vcpu: number | undefined): number | undefined {
    const [machine, another] = this.#open;
    if (!machine || another || (vcpu !== undefined && vcpu >= machine.vcpus.length)) return undefined;
    return this.#numbers.get(machine);
  }

  machine(machine: ObservedMachine): void {
    this.#allOfKernel();
    this.#open.push(machine);
    const number = this.#numbers.size + this.#first;
    this.#numbers.set(machine, number);
    this.#rips.set(machine, new ExitPlaces());
    const { irqchip, targets, trace } = machine;
    this.#line(machineLine(number, this.#run, { born: trace.born, irqchip, targets }));
  }

  event(event: TraceEvent, machine: ObservedMachine): void {
    if (this.#kernel) {
      if (this.#isNews) this.#kernel.refresh();
      this.#isNews = false;
      this.#kernel.upTo(machine.trace.born + BigInt(Math.round(event.ns)));
    }
    if (isExit(event)) this.#rips.get(machine)?.add(event.vcpu, event.rip);
    this.#line(eventLine(this.#numbers.get(machine)!, event));
  }

  /** A run of the machine is over, with these interrupts between its nodes. */
  state(machine: ObservedMachine, ipis: readonly NodeIpi[] = []): void {
    this.#allOfKernel();
    const { targets, trace } = machine;
    const number = this.#numbers.get(machine)!;
    for (const ipi of ipis) this.#line(nodeIpiLine(number, ipi));
    // Of a machine that is closed nothing is known any more.
    for (const piece of machine.codeAt(this.#rips.get(machine)!.take())) this.#line(codeLine(number, piece));
    if (targets.length > 0) this.#line(stateLine(number, trace.size, targets));
  }

  /** @param error as the result of `run --json` has it */
  failure(error: Record<string, unknown>): void {
    this.#line(failureLine(error));
  }

  /** The next run of the script begins. */
  next(): void {
    this.#allOfKernel();
    this.#run += 1;
  }
}
