/** What a run says for `--trace`, line by line: the same where it runs, on a host or in a machine of the lab. */
import { release } from 'node:os';
import type { DsmProfile } from '../abi/dsm/profiles.ts';
import { jsonText } from '../base/text.ts';
import { laneHere } from '../host/lane.ts';
import { eventLine, failureLine, headLine, machineLine, stateLine, type TraceLine } from '../picture/file/records.ts';
import type { ObservedMachine } from '../script/session.ts';
import { version } from '../target/version.ts';
import type { TraceEvent } from '../trace/event.ts';

export class TraceLines {
  readonly #say: (line: string) => void;
  readonly #numbers = new Map<ObservedMachine, number>();
  /** Machines of several processes have numbers of their own. */
  readonly #first: number;
  #run = 1;

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

  machine(machine: ObservedMachine): void {
    const number = this.#numbers.size + this.#first;
    this.#numbers.set(machine, number);
    const { irqchip, targets, trace } = machine;
    this.#line(machineLine(number, this.#run, { born: trace.born, irqchip, targets }));
  }

  event(event: TraceEvent, machine: ObservedMachine): void {
    this.#line(eventLine(this.#numbers.get(machine)!, event));
  }

  state(machine: ObservedMachine): void {
    const { targets, trace } = machine;
    // Of a machine that is closed nothing is known any more.
    if (targets.length > 0) this.#line(stateLine(this.#numbers.get(machine)!, trace.size, targets));
  }

  /** @param error as the result of `run --json` has it */
  failure(error: Record<string, unknown>): void {
    this.#line(failureLine(error));
  }

  /** The next run of the script begins. */
  next(): void {
    this.#run += 1;
  }
}
