/** The local APIC of the vCPU that runs them. In real mode they need x2APIC mode: its page lies out of reach there. */
import { APIC_DEFAULT_PHYS_BASE, type LapicRegisterName, lapicRegisters, SVR_ENABLED } from '../../abi/apic/lapic.ts';
import { APIC_BASE_ENABLE, APIC_BASE_EXTD, IA32_APIC_BASE } from '../../abi/apic/msr.ts';
import { type ApicRegisters, type RegisterWrite, x2apicRegisters, xapicRegisters } from '../../apic/mode.ts';
import { checkChoice, checkInteger } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import { boolean, integer, optional, shape } from '../../base/shape.ts';
import { hex } from '../../base/text.ts';
import { Snippet, snippet, writeNumber } from '../snippet.ts';

/** How the registers are reached. */
export interface ApicAccess {
  /** By MSR, in x2APIC mode. Default: in the APIC page. */
  x2apic?: boolean;
  /** Guest physical address of the APIC page. Default 0xfee00000. */
  base?: number;
}

export const accessKeys = { x2apic: optional(boolean), base: optional(integer(0, 0xffff_f000)) };
const accessShape = shape<ApicAccess>('the access to an APIC takes', accessKeys);
const pageShape = shape<Pick<ApicAccess, 'base'>>('the access to an APIC page takes', { base: accessKeys.base });

/** @throws ArgumentError */
export function checkAccess(access: ApicAccess): ApicAccess {
  return accessShape.take(access, 'access');
}

const names = Object.keys(lapicRegisters) as LapicRegisterName[];

/**
 * Writes a register. Changes nothing in xAPIC mode; eax, ecx, edx in x2APIC mode.
 *
 * @param value 32 bits: a number, or in xAPIC mode a register as well
 */
export function writeApic(register: LapicRegisterName, value: number | string, access: ApicAccess = {}): Snippet {
  checkChoice('register', register, names);
  if (typeof value === 'number') checkInteger('value', value, 0, 0xffff_ffff);
  const way = checkAccess(access);
  return written(registersBy(way).write(register, value), way);
}

/** The way to the registers that `access` names. */
export function registersBy(access: ApicAccess): ApicRegisters {
  return access.x2apic ? x2apicRegisters : xapicRegisters;
}

/** One write, as code. */
export function written({ place, value, high }: RegisterWrite<number | string>, access: ApicAccess = {}): Snippet {
  if (place.msr === undefined)
    return new Snippet((bits) => `mov dword [${hex(apicPage(bits, access) + place.offset)}], ${inText(value)}`);
  if (high !== undefined)
    return snippet`
    mov ecx, ${place.msr}
    mov eax, ${value}
    mov edx, ${high}
    wrmsr`;
  // The value may be in any register: it is taken first.
  return snippet`
    mov eax, ${value}
    xor edx, edx
    mov ecx, ${place.msr}
    wrmsr`;
}

function inText(value: number | string): string {
  return typeof value === 'number' ? writeNumber(value) : value;
}

/** Reads a register into eax. Changes ecx, edx in x2APIC mode. */
export function readApic(register: LapicRegisterName, access: ApicAccess = {}): Snippet {
  checkChoice('register', register, names);
  const way = checkAccess(access);
  const place = registersBy(way).read(register);
  if (place.msr === undefined) return new Snippet((bits) => `mov eax, [${hex(apicPage(bits, way) + place.offset)}]`);
  return snippet`
    mov ecx, ${place.msr}
    rdmsr`;
}

/** The APIC page's address, for code that can reach it. */
export function apicPage(bits: 16 | 32 | 64, { base = APIC_DEFAULT_PHYS_BASE }: ApicAccess): number {
  if (bits === 16)
    throw new ArgumentError(
      'x2apic',
      'Real mode cannot reach the APIC page',
      'Say { x2apic: true } if the APIC is in x2APIC mode, or use flat32 code.',
    );
  return base;
}

/** Enables the APIC by SVR, spurious vector 0xff: until then it takes no IPI. */
export function enableApic(access: ApicAccess = {}): Snippet {
  return writeApic('SVR', SVR_ENABLED, access);
}

/** Ends the interrupt that is in service: what a handler writes last. */
export function eoi(access: ApicAccess = {}): Snippet {
  return writeApic('EOI', 0, access);
}

/** From xAPIC to x2APIC mode, and enables the APIC there. Changes eax, ecx, edx. */
export function enterX2apic(): Snippet {
  return snippet`
    mov ecx, ${IA32_APIC_BASE}
    rdmsr
    or eax, ${APIC_BASE_ENABLE | APIC_BASE_EXTD}
    wrmsr
    ${enableApic({ x2apic: true })}`;
}

/** From x2APIC to xAPIC mode, which leads through the disabled APIC: it is as after reset then. Changes eax, ecx, edx. */
export function leaveX2apic(): Snippet {
  return snippet`
    mov ecx, ${IA32_APIC_BASE}
    rdmsr
    and eax, ${~(APIC_BASE_ENABLE | APIC_BASE_EXTD) & 0xffff_ffffn}
    wrmsr
    or eax, ${APIC_BASE_ENABLE}
    wrmsr`;
}

/**
 * Moves the APIC page. Changes eax, ecx, edx.
 *
 * @param to guest physical address below 4 GiB, a multiple of 4096, outside the guest's memory
 */
export function relocateApic(to: number): Snippet {
  checkInteger('to', to, 0, 0xffff_f000);
  if (to % 0x1000 !== 0)
    throw new ArgumentError('to', `${hex(to)} is not at the begin of a page`, 'Give a multiple of 4096.');
  return snippet`
    mov ecx, ${IA32_APIC_BASE}
    rdmsr
    and eax, 0xfff
    or eax, ${to}
    wrmsr`;
}

/** Flat logical destination mode. @param id 8 bits, one for each of eight vCPUs: 1 << n */
export function logicalFlat(id: number, access: Pick<ApicAccess, 'base'> = {}): Snippet {
  checkInteger('id', id, 0, 0xff);
  const page = pageShape.take(access, 'access');
  return snippet`
    ${writeApic('DFR', 0xffff_ffff, page)}
    ${writeApic('LDR', (id << 24) >>> 0, page)}`;
}

/** Cluster logical destination mode. @param cluster 0..14 @param members four bits, one for each vCPU of the cluster */
export function logicalCluster(cluster: number, members: number, access: Pick<ApicAccess, 'base'> = {}): Snippet {
  checkInteger('cluster', cluster, 0, 14);
  checkInteger('members', members, 0, 0xf);
  const page = pageShape.take(access, 'access');
  return snippet`
    ${writeApic('DFR', 0x0fff_ffff, page)}
    ${writeApic('LDR', ((cluster << 28) | (members << 24)) >>> 0, page)}`;
}
