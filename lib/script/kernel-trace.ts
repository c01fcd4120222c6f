/** The kernel's own events on their way into a trace: whose each is, and in time with the machines' own. */
import { readFileSync } from 'node:fs';
import type { FtraceEvent, FtraceRecording } from '../host/ftrace/recording.ts';
import type { KernelEvent, KernelLoss } from '../trace/kernel-event.ts';

/** What says which vCPU its thread enters: other events have a `vcpu_id` of somebody that they are about. */
const ENTRIES = new Set(['kvm_entry', 'kvm_exit']);
const LEFT = 'kvm_userspace_exit';

/** So many threads are remembered. */
const MOST_THREADS = 4096;

/** Where the events come from. */
export type KernelEventSource = Pick<
  FtraceRecording,
  'refresh' | 'take' | 'takeLost' | 'has' | 'nameOf' | 'clear' | 'close'
>;

export interface KernelTraceSink {
  event(event: KernelEvent): void;
  loss(loss: KernelLoss): void;
}

export class KernelTrace implements Disposable {
  readonly #recording: KernelEventSource;
  readonly #sink: KernelTraceSink;
  readonly #machine: (vcpu: number | undefined) => number | undefined;
  /** The vCPU of each thread; `null` of one that has none. */
  readonly #threads = new Map<number, number | null>();
  /** The vCPU that this thread has entered and not left. */
  #entered: number | undefined;

  /** @param machine the number of the machine that can be meant, if there is one */
  constructor(
    recording: KernelEventSource,
    machine: (vcpu: number | undefined) => number | undefined,
    sink: KernelTraceSink,
  ) {
    this.#recording = recording;
    this.#machine = machine;
    this.#sink = sink;
  }

  /** Looks again at what has come. */
  refresh(): void {
    this.#recording.refresh();
  }

  /** Hands over what came up to a time. @param at CLOCK_MONOTONIC in nanoseconds */
  upTo(at: bigint): void {
    for (const event of this.#recording.take(at)) {
      const vcpu = this.#vcpuOf(event);
      const machine = this.#machine(vcpu);
      this.#sink.event({ ...event, ...(machine !== undefined && { machine }), ...(vcpu !== undefined && { vcpu }) });
    }
  }

  /** All that came until now, and what was lost. */
  all(): void {
    this.refresh();
    const at = process.hrtime.bigint();
    this.upTo(at);
    for (const loss of this.#recording.takeLost()) this.#sink.loss({ at, ...loss });
  }

  /** Drops what came until now. */
  clear(): void {
    this.#recording.clear();
  }

  [Symbol.dispose](): void {
    this.#recording.close();
  }

  #vcpuOf(event: FtraceEvent): number | undefined {
    const { tid, event: name, fields } = event;
    const entered = ENTRIES.has(name) && typeof fields.vcpu_id === 'number' ? fields.vcpu_id : undefined;
    if (tid === process.pid) return this.#onThisThread(name, entered);
    if (this.#threads.size > MOST_THREADS) this.#threads.clear();
    if (entered !== undefined) this.#threads.set(tid, entered);
    else if (!this.#threads.has(tid)) this.#threads.set(tid, this.#named(tid));
    return this.#threads.get(tid) ?? undefined;
  }

  /** It runs one vCPU by turns with the script, whose own calls are no vCPU's. */
  #onThisThread(name: string, entered: number | undefined): number | undefined {
    // Without what tells of its end nobody knows what is whose.
    if (!this.#recording.has(LEFT)) return entered;
    const of = entered ?? this.#entered;
    this.#entered = name === LEFT ? undefined : of;
    return of;
  }

  /** The addon names a vCPU's thread. */
  #named(tid: number): number | null {
    const [, id] = /^vcpu (\d+)$/.exec(ownThreadName(tid) ?? this.#recording.nameOf(tid)) ?? [];
    return id === undefined ? null : Number(id);
  }
}

/** Undefined if it is gone, or another process's. */
function ownThreadName(tid: number): string | undefined {
  try {
    return readFileSync(`/proc/self/task/${tid}/comm`, 'utf8').trimEnd();
  } catch {
    return undefined;
  }
}
