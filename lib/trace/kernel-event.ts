/** The kernel's own events, beside those that a machine makes. */
import { lapicRegisterName } from '../abi/apic/lapic.ts';
import { exitReasonName } from '../abi/kvm/exit-reason.ts';
import { type JsonValue, toJson } from '../base/json.ts';
import { hex, plural, printable } from '../base/text.ts';

/** A member of such an event: of 64 bits as bigint, bytes as hexadecimal text. */
export type KernelField = number | bigint | string;

/** An event of the kernel's, at its place in time. */
export interface KernelEvent {
  /** CLOCK_MONOTONIC in nanoseconds, not from a machine's making on. */
  readonly at: bigint;
  /** The host's CPU. */
  readonly cpu: number;
  /** The host's thread that ran there. */
  readonly tid: number;
  /** The kernel's name of it, such as `kvm_apic_accept_irq`. */
  readonly event: string;
  /** As the kernel's `format` file names them. */
  readonly fields: Readonly<Record<string, KernelField>>;
  /** What the kernel calls some of these values, as `EPT_VIOLATION` an `exit_reason`. */
  readonly names?: Readonly<Record<string, string>>;
  /** The machine's number in the file, where only one can be meant. */
  readonly machine?: number;
  /** vcpu_id of the vCPU whose thread it was: for an IPI the sender's. */
  readonly vcpu?: number;
}

/** So many events are not in the trace. */
export interface KernelLoss {
  /** When it was found, in nanoseconds of CLOCK_MONOTONIC: they are from before that, or the very first ones (0). */
  readonly at: bigint;
  /** Whose buffer was overwritten before anybody read it; left out: the trace has the last events alone. */
  readonly cpu?: number;
  readonly lost: number;
}

/** In words, fit for a terminal whatever the kernel has written: without its time and its place. */
export function describeKernelEvent({ event, fields, names }: Pick<KernelEvent, 'event' | 'fields' | 'names'>): string {
  const words = Object.entries(fields).map(([field, value]) => {
    const name = names?.[field];
    const plain = `${valueWords(field, value)}${name === undefined ? '' : `(${name})`}`;
    return `${field}=${ownName(event, field, value) ?? plain}`;
  });
  return printable([event, ...words].join(' '));
}

export function describeKernelLoss({ cpu, lost }: KernelLoss): string {
  if (cpu === undefined) return `${plural(lost, 'event')} before these left out`;
  return `${plural(lost, 'event')} of CPU ${cpu} lost: more came at a time than its buffer holds`;
}

/** Numbers that are counted from 0 on by people as well. */
const COUNTED = /^(?:vcpu_id|apicid|dest_id|errno)$/;

/** As the rest of a trace calls it. */
function ownName(event: string, field: string, value: KernelField): string | undefined {
  if (typeof value !== 'number') return undefined;
  if (event === 'kvm_apic' && field === 'reg') return lapicRegisterName(value);
  if (event === 'kvm_userspace_exit' && field === 'reason') return exitReasonName(value) ?? String(value);
  return undefined;
}

function valueWords(field: string, value: KernelField): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint' || COUNTED.test(field)) return typeof value === 'bigint' ? hex(value) : String(value);
  return value >= 0 && value < 10 ? String(value) : hex(value);
}

/** As a line of a trace file has it. */
export function kernelEventToJson({ at, fields, ...rest }: KernelEvent): Record<string, JsonValue> {
  return { at: hex(at), ...rest, fields: toJson(fields) };
}

/** @throws Error if it is none */
export function kernelEventFromJson(json: Readonly<Record<string, unknown>>): KernelEvent {
  const { at, cpu, tid, event, fields, names, machine, vcpu } = json;
  if (typeof event !== 'string') throw new TypeError('event is no text');
  const values = Object.entries(fields as Record<string, number | string>).map(([name, value]) => [
    name,
    typeof value === 'string' && /^-?0x[0-9a-f]+$/.test(value) ? bigintOf(value) : value,
  ]);
  return {
    at: BigInt(at as string),
    cpu: cpu as number,
    tid: tid as number,
    event,
    fields: Object.fromEntries(values),
    ...(names !== undefined && { names: names as Record<string, string> }),
    ...(machine !== undefined && { machine: machine as number }),
    ...(vcpu !== undefined && { vcpu: vcpu as number }),
  };
}

const bigintOf = (text: string) => (text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text));
