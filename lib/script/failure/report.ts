/** The report of a failed run or expectation, as text and as JSON. */
import { inspect } from 'node:util';
import type { Failure } from '../../base/errors.ts';
import { hex, printable, printableLines } from '../../base/text.ts';
import { diagram } from '../../picture/diagram.ts';
import { pictureOfPart } from '../../picture/picture.ts';
import { eventToJson } from '../../trace/json.ts';
import { instructionAt } from './code.ts';
import { diagnose } from './diagnose.ts';
import { describeKernelLog, kernelLog } from './kernel-log.ts';
import { mpStateName } from './names.ts';
import type { Snapshot, VcpuSnapshot } from './snapshot.ts';
import { describeTrace, traceWindow } from './trace-window.ts';
import type { Cause, Ending, Lost } from './types.ts';
import { describeVcpu, describeVcpuBriefly } from './vcpu.ts';

/** So many vCPUs are shown in full, and so many more in a line each: a report is one screen. */
const IN_FULL = 2;
const BRIEFLY = 4;

/** What a machine was like when a run or an expectation failed, and what that says of the cause. */
export class FailureReport implements Failure {
  readonly #snapshot: Snapshot;
  readonly #causes: readonly Cause[];
  readonly #seq: number | undefined;
  /** What the message has beside the first cause. */
  readonly #headline: string;
  #text: string | undefined;
  #log: string[] | string | undefined;

  /** @param seq the event that it is about */
  constructor(snapshot: Snapshot, ending: Ending, seq?: number) {
    this.#snapshot = snapshot;
    this.#headline = ending.kind === 'expectation' ? ending.headline : '';
    this.#seq = ending.kind === 'exit' ? ending.event.seq : seq;
    this.#causes = diagnose(this.#snapshot, ending);
  }

  /** Why it failed, as far as can be said: the most certain first. Empty if nothing can be said. */
  get causes(): string[] {
    return this.#causes.map(({ text }) => text);
  }

  /** Who has not received what, if the most certain cause is that. */
  get lost(): Lost | undefined {
    return this.#causes[0]?.lost;
  }

  /** What stands below the message, made when it is asked for: further causes, the trace, vCPUs, the kernel's log. */
  toString(): string {
    this.#text ??= this.#lines().map(printableLines).join('\n');
    return this.#text;
  }

  /**
   * For `console.log`.
   *
   * @internal
   */
  [inspect.custom](): string {
    return `\n${this}\n`;
  }

  #lines(): string[] {
    const { events, omitted, note } = this.#snapshot;
    const [full, brief] = this.#shown();
    const more = this.#snapshot.vcpus.length - full.length - brief.length;
    return [
      ...this.causes.slice(1).flatMap((text) => (text === this.#headline ? [] : [`also: ${text}`])),
      ...describeTrace(events, this.#seq, omitted),
      ...(note ? [note] : []),
      ...full.flatMap(describeVcpu),
      ...brief.map(describeVcpuBriefly),
      ...(more > 0 ? [`and ${more} more vCPUs`] : []),
      ...describeKernelLog(this.#kernelLog),
      ...this.#diagram(),
    ];
  }

  /** What happened around it, as a picture that a mail can have. */
  #diagram(): string[] {
    const { vcpus } = this.#snapshot;
    const targets = vcpus.flatMap(({ target }) => target ?? []);
    const lines = diagram(pictureOfPart(this.#snapshot, targets), this.#seq);
    return lines.length > 0 ? ['', ...lines] : [];
  }

  /** Those that the causes name come first. */
  #shown(): [VcpuSnapshot[], VcpuSnapshot[]] {
    const { vcpus } = this.#snapshot;
    const named = this.#causes.flatMap((cause) => cause.vcpus);
    const order = [...new Set([...named, ...vcpus.map(({ id }) => id)])];
    const sorted = order.flatMap((id) => vcpus.find((vcpu) => vcpu.id === id) ?? []);
    const byId = (list: VcpuSnapshot[]) => list.sort((a, b) => a.id - b.id);
    return [byId(sorted.slice(0, IN_FULL)), byId(sorted.slice(IN_FULL, IN_FULL + BRIEFLY))];
  }

  get #kernelLog(): string[] | string {
    const { during } = this.#snapshot;
    this.#log ??= during ? kernelLog(during.from, during.to) : 'not looked at: it is not known when the machine ran';
    return this.#log;
  }

  toJSON(): Record<string, unknown> {
    const { events, vcpus } = this.#snapshot;
    return {
      causes: this.causes,
      trace: traceWindow(events, this.#seq).map(eventToJson),
      vcpus: vcpus.map(vcpuToJson),
      kernelLog: this.#kernelLog,
      diagram: this.#diagram().slice(1).map(printable),
    };
  }
}

function vcpuToJson(vcpu: VcpuSnapshot): Record<string, unknown> {
  const { id, cpu } = vcpu;
  const interrupts = Object.fromEntries([...vcpu.counters].map(([vector, count]) => [hex(vector), count]));
  if (typeof cpu === 'string') return { id, unavailable: cpu, interrupts };
  const { regs, mode, mpState, lapic } = cpu;
  const instruction = instructionAt(cpu, regs.rip);
  return {
    id,
    mpState: mpStateName(mpState),
    mode,
    regs: Object.fromEntries(Object.entries(regs).map(([name, value]) => [name, hex(value)])),
    instruction: instruction?.text ?? null,
    lapic: lapic && {
      id: lapic.view.apicId,
      x2apic: lapic.view.mode === 'x2apic',
      enabled: lapic.view.mode !== 'disabled' && lapic.view.enabled,
      irr: lapic.irr,
      isr: lapic.isr,
      tmr: lapic.tmr,
      registers: Object.fromEntries(Object.entries(lapic.registers).map(([name, value]) => [name, hex(value)])),
    },
    interrupts,
  };
}
