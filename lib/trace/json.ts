/** Events of a trace as lines of JSON. */

import { checkInteger, checkText } from '../base/check.ts';
import { type JsonValue, toJson } from '../base/json.ts';
import { exitFromJson, exitToJson } from '../exit/json.ts';
import type { GuestFault } from '../guest/fault.ts';
import type { GuestWord } from '../guest/protocol.ts';
import { isExit, type TraceAct, type TraceEvent, type TraceExit } from './event.ts';

/** One event of a trace as `kvm-dsm run --json` has it: numbers of 64 bits in hexadecimal, bytes likewise. */
export function eventToJson(event: TraceEvent): Record<string, JsonValue> {
  if (!isExit(event)) {
    const { seq, ns, node, act, ioctl, vcpu, detail, ...data } = event;
    return {
      type: 'act',
      seq,
      ns,
      ...(node !== undefined && { node }),
      act,
      ...(ioctl !== undefined && { ioctl }),
      ...(vcpu !== undefined && { vcpu }),
      detail,
      ...membersToJson(data),
    };
  }
  const { seq, ns, node, vcpu, rip, exit, word, fault } = event;
  return {
    type: 'exit',
    seq,
    ns,
    ...(node !== undefined && { node }),
    vcpu,
    ...exitToJson(exit),
    rip: toJson(rip),
    ...(word && { word: toJson(word) }),
    ...(fault && { fault: toJson(fault) }),
  };
}

function membersToJson(data: object): Record<string, JsonValue> {
  return Object.fromEntries(Object.entries(data).map(([name, value]) => [name, toJson(value)]));
}

/**
 * The event that such JSON was made of. What an act's `detail` was is taken as it stands.
 *
 * @throws ArgumentError if it is none
 */
export function eventFromJson(json: Readonly<Record<string, unknown>>): TraceEvent {
  const { type, word, fault, ...rest } = json;
  const seq = checkInteger('seq', json.seq as number, 0, Number.MAX_SAFE_INTEGER);
  const ns = checkInteger('ns', json.ns as number, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  if (type === 'act') {
    checkText('detail', json.detail as string);
    return { ...(withBigints(rest) as object), seq, ns } as unknown as TraceAct;
  }
  const vcpu = checkInteger('vcpu', json.vcpu as number, 0, 0xffff_ffff);
  const rip = BigInt(checkText('rip', json.rip as string));
  const node = json.node === undefined ? {} : { node: checkInteger('node', json.node as number, 0, 0xffff_ffff) };
  const event: TraceExit = { seq, ns, ...node, vcpu, rip, exit: exitFromJson(json) };
  return {
    ...event,
    ...(word !== undefined && { word: word as GuestWord }),
    ...(fault !== undefined && { fault: withBigints(fault) as unknown as GuestFault }),
  };
}

/** Numbers of 64 bits as such again. Text of an event that looks like one has a name beside `detail`. */
function withBigints(value: unknown): unknown {
  if (typeof value === 'string') return /^0x[0-9a-f]+$/.test(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(withBigints);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, key === 'detail' ? member : withBigints(member)]),
  );
}
