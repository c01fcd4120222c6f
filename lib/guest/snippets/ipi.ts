/** Sending IPIs. In xAPIC mode they change no register; in x2APIC mode eax, ecx, edx. */
import {
  commandOptions,
  encodeIcr,
  encodeIcr2,
  type Icr,
  type IcrFields,
  optionalIcrBits,
} from '../../abi/apic/icr.ts';
import { lapicRegisters } from '../../abi/apic/lapic.ts';
import { x2apicRegisters } from '../../apic/mode.ts';
import { checkInteger } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import { integer, optional, shape } from '../../base/shape.ts';
import { hex, show } from '../../base/text.ts';
import { Snippet, snippet } from '../snippet.ts';
import { type ApicAccess, accessKeys, apicPage, checkAccess, registersBy, writeApic, written } from './lapic.ts';

/** To whom: an APIC id (or with `destinationMode: 'logical'` a logical id), or a shorthand. */
export type IpiTo = number | 'self' | 'all' | 'others';

/** One IPI. What is left out: fixed, physical, assert, edge; `vector` may be left out for NMI, SMI and INIT. */
export interface IpiFields extends Partial<Omit<Icr, 'shorthand'>>, ApicAccess {
  /** To whom it goes. */
  to: IpiTo;
}

const { shorthand: _, ...command } = commandOptions;
const ipiFields = shape<IpiFields>('ipi() takes', {
  to: (_, value) => value as IpiTo,
  vector: optional(integer(0, 0xff)),
  ...command,
  ...optionalIcrBits,
  ...accessKeys,
});

const shorthands = { self: 'self', all: 'allIncludingSelf', others: 'allExcludingSelf' } as const;

/** The write of ICR2, and the destination in it: it sends nothing. */
export function icr2(destination: number, access: ApicAccess = {}): Snippet {
  return writeApic('ICR2', encodeIcr2({ destination }), access);
}

/** The write of ICR, which sends. Every field can be given, reserved bits too. */
export function icr(fields: IcrFields, access: ApicAccess = {}): Snippet {
  return writeApic('ICR', encodeIcr(fields), access);
}

/** Sends one IPI: in xAPIC mode ICR2 (where there is a destination), then ICR; in x2APIC mode one WRMSR. */
export function ipi(fields: IpiFields): Snippet {
  const { to, x2apic, base, vector = 0, ...more } = ipiFields.take(fields, 'fields');
  const access: ApicAccess = { ...(x2apic && { x2apic }), ...(base !== undefined && { base }) };
  const destination = typeof to === 'number' ? { destination: to } : {};
  const writes = registersBy(access).icr({ vector, ...more, shorthand: shorthandOf(to), ...destination });
  return snippet`${writes.map((write) => written(write, access))}`;
}

function shorthandOf(to: IpiTo): Icr['shorthand'] {
  if (typeof to === 'number') return 'none';
  if (typeof to === 'string' && Object.hasOwn(shorthands, to)) return shorthands[to];
  throw new ArgumentError('to', `${show(to)} is no destination`, 'Give an APIC id, "self", "all" or "others".');
}

/** An NMI. */
export function nmi(to: IpiTo, access: ApicAccess = {}): Snippet {
  return ipi({ to, deliveryMode: 'nmi', ...access });
}

/** An interrupt to itself by x2APIC's SELF IPI register; in xAPIC mode use `ipi({ to: 'self', vector })`. */
export function selfIpi(vector: number): Snippet {
  return written({ ...x2apicRegisters.write('SELF_IPI', checkInteger('vector', vector, 0, 255)), high: 0 });
}

/** Waits until the ICR says that the last IPI was sent (delivery status idle). Nothing to wait for in x2APIC mode. */
export function waitSent(access: ApicAccess = {}): Snippet {
  const way = checkAccess(access);
  return new Snippet((bits) =>
    way.x2apic
      ? ''
      : `
%%pending:
    test dword [${hex(apicPage(bits, way) + lapicRegisters.ICR)}], 1 << 12
    jnz %%pending`,
  );
}

/**
 * Starts an AP: INIT, SIPI, SIPI, as the MP specification has it, but without its pauses: no virtual CPU needs them.
 *
 * @param vector the page number of the start address: `machine.vcpu(n).sipiVector`
 */
export function initSipiSipi(to: number, vector: number, access: ApicAccess = {}): Snippet {
  const startUp = ipi({ to, deliveryMode: 'startUp', vector, ...access });
  return snippet`
    ${ipi({ to, deliveryMode: 'init', ...access })}
    ${waitSent(access)}
    ${startUp}
    ${waitSent(access)}
    ${startUp}`;
}

/**
 * Sends a fixed IPI and waits until its handler has run: no two of them become one. Changes ebx, and eax, ecx, edx in
 * x2APIC mode.
 *
 * @param counter where the handler counts: `machine.vcpu(n).counterAddress(vector)`
 */
export function ipiAndWait(fields: IpiFields, counter: number): Snippet {
  checkInteger('counter', counter, 0, 0xffff_ffff);
  return snippet`
    mov ebx, [${counter}]
    ${ipi(fields)}
%%wait:
    pause
    cmp [${counter}], ebx
    je %%wait`;
}
