/** Events of a trace as lines of JSON. */
import { type JsonValue, toJson } from '../base/json.ts';
import { exitToJson } from '../exit/json.ts';
import { isExit, type TraceEvent } from './event.ts';

/** One event of a trace as `kvm-dsm run --json` has it: numbers of 64 bits in hexadecimal, bytes likewise. */
export function eventToJson(event: TraceEvent): Record<string, JsonValue> {
  if (!isExit(event)) {
    const { seq, ns, act, ioctl, vcpu, detail, ...data } = event;
    return {
      type: 'act',
      seq,
      ns,
      act,
      ...(ioctl !== undefined && { ioctl }),
      ...(vcpu !== undefined && { vcpu }),
      detail,
      ...membersToJson(data),
    };
  }
  const { seq, ns, vcpu, rip, exit, word, fault } = event;
  return {
    type: 'exit',
    seq,
    ns,
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
