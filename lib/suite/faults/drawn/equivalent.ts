/** Drawn faults that by their construction change nothing that anybody could observe: they are never drawn. */
import type { Op } from './field.ts';
import type { DrawnFault } from './spec.ts';

export interface Equivalent {
  why: string;
  is(fault: DrawnFault): boolean;
}

/** Whether a condition is that a field is one of these. */
const holds = ({ conditions }: DrawnFault, name: string, ...values: readonly number[]) =>
  conditions.some(({ field, op, value }) => field.name === name && op === 'eq' && values.includes(value));

/** Whether a condition is about this field. */
const asks = ({ conditions }: DrawnFault, name: string, ...as: readonly Op[]) =>
  conditions.some(({ field, op }) => field.name === name && (as.length === 0 || as.includes(op)));

/** Whether the action is one of these. */
const does = ({ action }: DrawnFault, ...names: readonly string[]) => names.includes(action.name);

const withBit = ({ param }: DrawnFault, from: number, to: number) => param !== null && param >= from && param <= to;

/** Fields of the ICR: their lowest bits. */
const icrFields = Object.entries({
  vector: 0,
  'delivery-mode': 8,
  'dest-mode': 11,
  level: 14,
  trigger: 15,
  shorthand: 18,
});

/** Of a condition that a field of the ICR is something: whether bit `param` is 0 then. */
const isClear = (fault: DrawnFault) =>
  icrFields.some(([name, low]) => {
    const width = { vector: 8, 'delivery-mode': 3, shorthand: 2 }[name] ?? 1;
    if (!withBit(fault, low, low + width - 1)) return false;
    return fault.conditions.some(
      ({ field, op, value }) => field.name === name && op === 'eq' && ((value >> (fault.param! - low)) & 1) === 0,
    );
  });

export const equivalents: readonly Equivalent[] = [
  {
    why: 'a VM of one vCPU has no other one whose exit, interrupt, values or kvm_run could be wrong',
    is: (fault) =>
      holds(fault, 'vcpus', 1) &&
      does(fault, 'other-vcpu', 'stray-irr', 'leak', 'next-vcpu', 'foreign-val2', 'foreign-dest', 'foreign-id'),
  },
  {
    why: 'in a VM of that many vCPUs the vCPU that many further is the same one',
    is: (fault) =>
      does(fault, 'other-vcpu', 'next-vcpu') &&
      fault.param === 2 &&
      (holds(fault, 'vcpus', 1) || holds(fault, 'vcpus', 2)),
  },
  {
    why: 'an IPI without a shorthand has none to lose',
    is: (fault) => does(fault, 'no-shorthand') && holds(fault, 'shorthand', 0),
  },
  {
    why: 'the destination and its mode mean nothing to an IPI with a shorthand',
    is: (fault) =>
      holds(fault, 'shorthand', 1, 2, 3) &&
      (does(fault, 'flip-target') || (does(fault, 'flip-sent') && withBit(fault, 11, 11))),
  },
  {
    why: 'an IPI of a reserved delivery mode is not sent at all',
    is: (fault) =>
      holds(fault, 'delivery-mode', 3, 7) &&
      (does(fault, 'unsent', 'send-twice', 'flip-target', 'no-shorthand') ||
        (does(fault, 'flip-sent') && !withBit(fault, 8, 10))),
  },
  {
    why: 'an SMI, an NMI and an INIT have no vector',
    is: (fault) => holds(fault, 'delivery-mode', 2, 4, 5) && does(fault, 'flip-sent') && withBit(fault, 0, 7),
  },
  {
    why: 'an IPI that nobody takes is not missed, and is the same to nobody',
    is: (fault) =>
      holds(fault, 'dest-count', 0) &&
      (does(fault, 'unsent', 'send-twice') || (does(fault, 'flip-sent') && withBit(fault, 0, 10))),
  },
  {
    why: 'a fixed interrupt that is pending stays pending when it is made pending once more',
    is: (fault) => does(fault, 'send-twice') && fault.site === 'ipi-icr',
  },
  {
    why: 'the first write has no write before it that a stale field could be of',
    is: (fault) =>
      does(fault, 'stale-val2', 'stale-dest') && (holds(fault, 'writes', 1) || holds(fault, 'vm-writes', 1)),
  },
  {
    why: 'the value of the last write of this vCPU, where that was of the same register and value, is not stale',
    is: (fault) => does(fault, 'stale-val2') && asks(fault, 'same-value'),
  },
  {
    why: 'the destination is 0 already',
    is: (fault) =>
      does(fault, 'zero-dest') &&
      (holds(fault, 'dest', 0) || (fault.site === 'icr' && holds(fault, 'old-icr2', 0)) || holds(fault, 'value', 0)),
  },
  {
    why: 'the register has that value already',
    is: (fault) =>
      (asks(fault, 'unchanged') &&
        (does(fault, 'read-back') || (does(fault, 'skip-local') && fault.site === 'icr2'))) ||
      (does(fault, 'read-back') && holds(fault, 'value', 0)),
  },
  {
    why: 'a bit that is not set can be left out',
    is: (fault) =>
      does(fault, 'clear-bit') &&
      (isClear(fault) ||
        holds(fault, 'value', 0) ||
        fault.conditions.some(
          ({ field, op, value }) => field.name === 'base-value' && op === 'lacks' && value === 2 ** fault.param!,
        )),
  },
  {
    why: 'in x2APIC mode, in which alone a guest writes its ICR, LDR and DFR cannot be written',
    is: (fault) => fault.site === 'x2apic' && does(fault, 'poke-ldr', 'poke-dfr'),
  },
  {
    why: 'in x2APIC mode bits 31:24 of the ID and the LDR are 0 for every vcpu_id that KVM takes',
    is: (fault) => fault.site === 'x2apic' && (asks(fault, 'ldr', 'ne', 'has') || asks(fault, 'apic-id', 'ne', 'ge')),
  },
  {
    why: 'the LVT of a local APIC that is disabled by software stays masked',
    is: (fault) =>
      holds(fault, 'sw-enabled', 0) &&
      does(fault, 'poke-lvtt', 'poke-lvt0', 'poke-lvt1', 'poke-lvterr') &&
      withBit(fault, 16, 16),
  },
  {
    why: 'a write is forwarded if it has 32 bits, and what an instruction of another operand size writes has not (emulate.c)',
    is: (fault) =>
      fault.conditions.some(({ field, op, value }) => field.name === 'op-bytes' && (op === 'ne') === (value === 4)),
  },
  {
    why: 'KVM makes its map of local APICs for the ids 0 to 255 at least (kvm_recalculate_apic_map)',
    is: (fault) => holds(fault, 'map-max', 0),
  },
  {
    why: 'with local APICs in the kernel HLT makes no exit (kvm_vcpu_halt)',
    is: (fault) => holds(fault, 'last-exit', 5),
  },
  {
    why: 'an IPI that no other vCPU takes has no target whose state could be asked for',
    is: (fault) =>
      (holds(fault, 'dest-count', 0) || holds(fault, 'shorthand', 1) || holds(fault, 'vcpus', 1)) &&
      fault.conditions.some(({ field }) => field.name.startsWith('to-')),
  },
];

/** Why a fault is never drawn; `null`: it may be. */
export function whyEquivalent(fault: DrawnFault): string | null {
  return equivalents.find(({ is }) => is(fault))?.why ?? null;
}
