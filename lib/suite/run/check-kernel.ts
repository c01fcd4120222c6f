/** The kernel's own events while a check runs: read only if it fails. */
import { eventsOf } from '../../host/ftrace/choice.ts';
import { FtraceRecording } from '../../host/ftrace/recording.ts';
import { laneHere } from '../../host/lane.ts';
import { kernelLine, lossLine, type TraceLine } from '../../picture/file/records.ts';
import { KernelTrace } from '../../script/kernel-trace.ts';

/** So many are told, the last ones; the lines of a trace are told as one message. */
const MOST = 20_000;

/** How a check that fails tells what happened. */
export interface Traced {
  /** Words that name which of the kernel's own events belong to it: `chooseEvents`. None: none do. */
  readonly kernelEvents: readonly string[];
}

/** The recording that `--kernel-events` asks for: in the lab of all that happens there, on a host of this process alone. */
export function recordingOf({ kernelEvents }: Traced): FtraceRecording {
  return new FtraceRecording(eventsOf(kernelEvents), { ownOnly: laneHere === null });
}

export class CheckKernel implements Disposable {
  readonly #trace: KernelTrace;
  #lines: TraceLine[] = [];
  #machine: number | undefined;
  #left = 0;

  /** @throws KernelEventsError; ArgumentError for an event that the kernel has not */
  constructor(recording: FtraceRecording) {
    this.#trace = new KernelTrace(recording, () => this.#machine, {
      event: (event) => this.#keep(kernelLine(event)),
      loss: (loss) => this.#lines.push(lossLine(loss)),
    });
  }

  /** A check begins. */
  begin(): void {
    this.#trace.clear();
  }

  /** What came since, in order. @param machine the only one that the check has made, by its number */
  lines(machine: number | undefined): TraceLine[] {
    this.#machine = machine;
    this.#lines = [];
    this.#left = 0;
    this.#trace.all();
    const lines = this.#lines.slice(-MOST);
    const left = this.#left + this.#lines.length - lines.length;
    this.#lines = [];
    return left > 0 ? [lossLine({ at: 0n, lost: left }), ...lines] : lines;
  }

  #keep(line: TraceLine): void {
    this.#lines.push(line);
    if (this.#lines.length < MOST * 2) return;
    this.#left += this.#lines.splice(0, MOST).length;
  }

  [Symbol.dispose](): void {
    this.#trace[Symbol.dispose]();
  }
}
