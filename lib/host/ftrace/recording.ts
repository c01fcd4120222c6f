/** The kernel's own events as they happen: on CLOCK_MONOTONIC, in the order of time, in memory that does not grow. */
import { closeSync, constants, openSync, readdirSync, readSync } from 'node:fs';
import { type EventChoice, matching } from './choice.ts';
import { KernelEventsError, unknownEvent } from './errors.ts';
import { type EventFormat, type FieldValue, parseFormat, readFields } from './format.ts';
import { type NameTable, namesIn, parseNames } from './names.ts';
import { type PageLayout, type PageRecord, parsePageLayout, recordsIn } from './page.ts';
import { TraceInstance } from './tracefs.ts';

/** An event of the kernel's. */
export interface FtraceEvent {
  /** CLOCK_MONOTONIC in nanoseconds. */
  readonly at: bigint;
  /** The host's CPU. */
  readonly cpu: number;
  /** The thread that ran there: in an interrupt, the one that it came upon. */
  readonly tid: number;
  readonly event: string;
  readonly fields: Readonly<Record<string, FieldValue>>;
  /** What the kernel calls some of these values. */
  readonly names?: Readonly<Record<string, string>>;
}

/** Events that the kernel overwrote before they were read. */
export interface FtraceLoss {
  readonly cpu: number;
  readonly lost: number;
}

/** What all CPUs together have for what is not read yet, and what each has at least and at most, in KiB. */
const ALL_BUFFERS = 65_536;
const LEAST_BUFFER = 128;
const MOST_BUFFER = 4096;

/** common_pid. Source: events/header_event, kernel/trace/trace_events.c. */
const PID = 4;

export interface FtraceOptions {
  /** Only what the threads of this process do: others' virtual machines are their own. */
  readonly ownOnly: boolean;
}

/** Records from its making on, until it is closed. */
export class FtraceRecording implements Disposable {
  readonly #instance: TraceInstance;
  readonly #cpus: CpuTrace[] = [];
  readonly #formats = new Map<number, EventFormat & { tables: readonly NameTable[] }>();
  readonly #probes: string[] = [];
  readonly #lost = new Map<number, number>();
  #isOpen = true;

  /** @throws KernelEventsError; ArgumentError for an event that the kernel has not */
  constructor(choice: EventChoice, { ownOnly }: FtraceOptions, places?: readonly string[]) {
    this.#instance = new TraceInstance(places);
    try {
      this.#begin(choice, ownOnly);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The name that the kernel remembers of a thread; '' if it does not. */
  nameOf(tid: number): string {
    return this.#instance.nameOf(tid);
  }

  /** Whether it records events of that name. */
  has(event: string): boolean {
    return [...this.#formats.values()].some(({ name }) => name === event);
  }

  /** Drops all that came until now. */
  clear(): void {
    for (const cpu of this.#cpus) cpu.drop();
    this.#instance.write('', 'trace');
    this.#lost.clear();
  }

  /** From now on `take` sees what has come meanwhile. */
  refresh(): void {
    for (const cpu of this.#cpus) cpu.isEmpty = false;
  }

  /** What came up to a time and was not taken yet, in order. */
  *take(upTo: bigint): Generator<FtraceEvent> {
    for (;;) {
      let next: CpuTrace | undefined;
      for (const cpu of this.#cpus) if (cpu.at !== undefined && (!next || cpu.at < next.at!)) next = cpu;
      if (!next || next.at! > upTo) return;
      const event = this.#eventOf(next.take(), next.cpu);
      if (event) yield event;
    }
  }

  /** What the kernel lost since the last call: more than its buffers hold came at a time. */
  takeLost(): FtraceLoss[] {
    return this.#cpus.flatMap(({ cpu }) => {
      const text = this.#instance.read('per_cpu', `cpu${cpu}`, 'stats');
      const count = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
      const all = count('overrun') + count('commit overrun') + count('dropped events');
      const lost = all - (this.#lost.get(cpu) ?? 0);
      this.#lost.set(cpu, all);
      return lost > 0 ? [{ cpu, lost }] : [];
    });
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    for (const cpu of this.#cpus) cpu.close();
    // Removing it ends its events; somebody else may have a file of it open.
    if (!this.#instance.remove()) this.#instance.write('0', 'events', 'enable');
    for (const probe of this.#probes) this.#instance.appendShared('kprobe_events', `-:${probe}`);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #begin(choice: EventChoice, ownOnly: boolean): void {
    const instance = this.#instance;
    const layout = parsePageLayout(instance.read('events', 'header_page'));
    if (!layout)
      throw new KernelEventsError(
        'its pages are of a kind that is not known here',
        'Tell it, with the text of /sys/kernel/tracing/events/header_page.',
      );
    const cpus = instance.list('per_cpu').map((name) => Number(name.slice('cpu'.length)));
    const each = Math.floor(ALL_BUFFERS / Math.max(1, cpus.length));
    instance.write('mono', 'trace_clock');
    instance.write(String(Math.min(MOST_BUFFER, Math.max(LEAST_BUFFER, each))), 'buffer_size_kb');
    const group = `kvm_dsm_${process.pid}`;
    for (const { name, rest } of choice.probes) this.#probe(`${group}/${name}`, rest);
    const wanted = [...this.#wanted(choice), ...choice.probes.map(({ name }) => `${group}:${name}`)];
    for (const event of wanted) this.#learn(event);
    if (ownOnly) {
      // Threads that are made later are theirs as well.
      instance.write('1', 'options', 'event-fork');
      instance.write(readdirSync('/proc/self/task').join(' '), 'set_event_pid');
    }
    for (const cpu of cpus.sort((a, b) => a - b))
      this.#cpus.push(new CpuTrace(cpu, instance.path('per_cpu', `cpu${cpu}`, 'trace_pipe_raw'), layout));
    for (const event of wanted) instance.write('1', 'events', ...event.split(':'), 'enable');
  }

  /** Those of ftrace itself can be read about, and not enabled. */
  #isEvent(system: string, name: string): boolean {
    const files = this.#instance.list('events', system, name);
    return files.includes('id') && files.includes('enable');
  }

  #wanted({ globs }: EventChoice): Set<string> {
    const wanted = new Set<string>();
    const perWord = new Map<string, number>();
    for (const { word, glob } of globs) {
      const [system, event] = glob.split(':') as [string, string];
      const found = matching(system, this.#instance.list('events')).flatMap((one) =>
        matching(event, this.#instance.list('events', one)).flatMap((name) =>
          this.#isEvent(one, name) ? [`${one}:${name}`] : [],
        ),
      );
      for (const name of found) wanted.add(name);
      perWord.set(word, (perWord.get(word) ?? 0) + found.length);
    }
    for (const [word, count] of perWord)
      if (count === 0)
        throw unknownEvent(word, 'this kernel has no such event; those of kvm are there once KVM is loaded');
    return wanted;
  }

  #probe(name: string, rest: string): void {
    try {
      this.#instance.appendShared('kprobe_events', `p:${name} ${rest}`);
    } catch (error) {
      const why = `the kernel sets no such probe (CONFIG_KPROBE_EVENTS; /proc/kallsyms has the symbols): ${(error as Error).message}`;
      throw unknownEvent(`p:${name.split('/')[1]} ${rest}`, why);
    }
    this.#probes.push(name);
  }

  #learn(event: string): void {
    const text = this.#instance.read('events', ...event.split(':'), 'format');
    const format = parseFormat(text);
    if (format) this.#formats.set(format.id, { ...format, tables: parseNames(text) });
  }

  #eventOf({ at, record }: PageRecord, cpu: number): FtraceEvent | undefined {
    const format = this.#formats.get(record.getUint16(0, true));
    if (!format) return undefined;
    const fields = readFields(format, record);
    const names = namesIn(format.tables, fields);
    return { at, cpu, tid: record.getInt32(PID, true), event: format.name, fields, ...(names && { names }) };
  }
}

/** What one CPU has recorded: a page of it at a time. */
class CpuTrace {
  readonly cpu: number;
  /** Nothing more was there when somebody looked. */
  isEmpty = false;
  readonly #fd: number;
  readonly #layout: PageLayout;
  readonly #page: Uint8Array<ArrayBuffer>;
  #records: Iterator<PageRecord> | undefined;
  #next: PageRecord | undefined;

  constructor(cpu: number, path: string, layout: PageLayout) {
    this.cpu = cpu;
    this.#layout = layout;
    this.#page = new Uint8Array(layout.size);
    this.#fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  }

  /** The time of its next event; undefined if there is none now. */
  get at(): bigint | undefined {
    while (!this.#next) {
      const next = this.#records?.next();
      if (next && !next.done) this.#next = next.value;
      else if (this.isEmpty || !this.#read()) return undefined;
    }
    return this.#next.at;
  }

  /** Good until the next is asked for. */
  take(): PageRecord {
    const next = this.#next!;
    this.#next = undefined;
    return next;
  }

  /** What is read of it already. */
  drop(): void {
    this.#records = undefined;
    this.#next = undefined;
  }

  close(): void {
    closeSync(this.#fd);
  }

  #read(): boolean {
    let length = 0;
    try {
      length = readSync(this.#fd, this.#page);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
    this.isEmpty = length === 0;
    this.#records = this.isEmpty ? undefined : recordsIn(new DataView(this.#page.buffer, 0, length), this.#layout);
    return !this.isEmpty;
  }
}
