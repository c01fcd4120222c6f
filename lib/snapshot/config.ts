/** How a machine was made: what no KVM_GET_* tells and the objects of this package remember. JSON in the buffer. */
import { type CapabilityName, capabilities } from '../abi/kvm/capability.ts';
import type { GsiRoute } from '../abi/kvm/gsi-route.ts';
import { checkInteger } from '../base/check.ts';
import { KvmDsmError } from '../base/errors.ts';
import { hex } from '../base/text.ts';
import type { EnabledCap } from '../kvm/enable-cap.ts';
import { PAGE_SIZE } from '../kvm/guest-memory.ts';
import { checkRoute } from '../kvm/vm/lines.ts';
import { StateFormatError } from './errors.ts';

/** A memory slot. */
export interface SlotConfig {
  slot: number;
  guestPhysAddr: bigint;
  /** Index of the memory section. */
  memory: number;
  offset: number;
  size: number;
  readonly: boolean;
  logDirtyPages: boolean;
}

/** A vCPU, beside its registers. */
export interface VcpuConfig {
  vcpuId: number;
  caps: EnabledCap[];
  tscKhz: number;
  /** kvm_guest_debug, as it was set last. */
  debugControl: number;
  debugreg: bigint[];
}

/** A VM. */
export interface MachineConfig {
  tssAddr: number | null;
  identityMapAddr: bigint | null;
  bootCpuId: number | null;
  irqchip: 'none' | 'full' | 'split';
  pitFlags: number | null;
  caps: EnabledCap[];
  routes: GsiRoute[] | null;
  memories: number;
  slots: SlotConfig[];
  vcpus: VcpuConfig[];
}

/** The body of the configuration's section. */
export function packConfig(config: MachineConfig): Uint8Array {
  return new TextEncoder().encode(
    JSON.stringify(config, (_, value) => (typeof value === 'bigint' ? hex(value) : value)),
  );
}

type Fields = Record<string, unknown>;

/** Reads it back and checks each field. Throws StateFormatError. */
export function unpackConfig(body: Uint8Array): MachineConfig {
  try {
    return machineConfig(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)));
  } catch (error) {
    if (error instanceof StateFormatError) throw error;
    if (error instanceof KvmDsmError) throw new StateFormatError(`the configuration: ${error.message}`, error);
    throw new StateFormatError('the configuration is no JSON', error);
  }
}

function machineConfig(value: unknown): MachineConfig {
  const fields = object(value);
  const memories = integer(fields, 'memories', 32767);
  return {
    tssAddr: fields.tssAddr === null ? null : integer(fields, 'tssAddr', 0xffff_ffff),
    identityMapAddr: fields.identityMapAddr === null ? null : bigint(fields.identityMapAddr),
    bootCpuId: fields.bootCpuId === null ? null : integer(fields, 'bootCpuId', 0xffff_ffff),
    irqchip: oneOf(fields.irqchip, ['none', 'full', 'split']),
    pitFlags: fields.pitFlags === null ? null : integer(fields, 'pitFlags', 0xffff_ffff),
    caps: list(fields.caps).map(enabledCap),
    routes: fields.routes === null ? null : list(fields.routes).map(route),
    memories,
    slots: list(fields.slots).map((slot) => slotConfig(object(slot), memories)),
    vcpus: list(fields.vcpus).map((vcpu) => vcpuConfig(object(vcpu))),
  };
}

function slotConfig(fields: Fields, memories: number): SlotConfig {
  const pages = (name: string) => {
    const bytes = integer(fields, name, Number.MAX_SAFE_INTEGER);
    if (bytes % PAGE_SIZE !== 0) throw new StateFormatError(`${name} ${bytes} of a slot is no number of pages`);
    return bytes;
  };
  return {
    slot: integer(fields, 'slot', 0x1_7fff),
    guestPhysAddr: bigint(fields.guestPhysAddr),
    memory: integer(fields, 'memory', memories - 1),
    offset: pages('offset'),
    size: pages('size'),
    readonly: boolean(fields.readonly),
    logDirtyPages: boolean(fields.logDirtyPages),
  };
}

function vcpuConfig(fields: Fields): VcpuConfig {
  const debugreg = list(fields.debugreg).map(bigint);
  if (debugreg.length > 8) throw new StateFormatError('a vCPU has more than eight debug registers');
  return {
    vcpuId: integer(fields, 'vcpuId', 0xffff_ffff),
    caps: list(fields.caps).map(enabledCap),
    tscKhz: integer(fields, 'tscKhz', 0xffff_ffff),
    debugControl: integer(fields, 'debugControl', 0xffff_ffff),
    debugreg,
  };
}

function enabledCap(value: unknown): EnabledCap {
  const fields = object(value);
  const args = list(fields.args).map(bigint);
  if (args.length > 4) throw new StateFormatError('a capability has more than four arguments');
  if (typeof fields.cap === 'number') return { cap: integer(fields, 'cap', 0xffff_ffff), args };
  return { cap: oneOf(fields.cap, Object.keys(capabilities) as CapabilityName[]), args };
}

function route(value: unknown): GsiRoute {
  const fields = object(value) as unknown as GsiRoute;
  checkRoute(fields);
  return fields;
}

function object(value: unknown): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new StateFormatError('a part of the configuration is no object');
}

function list(value: unknown): unknown[] {
  if (Array.isArray(value) && value.length <= 65536) return value;
  throw new StateFormatError('a part of the configuration is no list');
}

function integer(fields: Fields, name: string, high: number): number {
  return checkInteger(name, fields[name] as number, 0, high);
}

function boolean(value: unknown): boolean {
  return oneOf(value, [true, false]);
}

function bigint(value: unknown): bigint {
  if (typeof value === 'string' && /^0x[0-9a-f]{1,16}$/.test(value)) return BigInt(value);
  throw new StateFormatError('a part of the configuration is no 64-bit number');
}

function oneOf<T>(value: unknown, choices: readonly T[]): T {
  if (choices.includes(value as T)) return value as T;
  throw new StateFormatError('a part of the configuration is none of its choices');
}
