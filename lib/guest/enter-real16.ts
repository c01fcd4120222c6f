/** The state in which a real-mode guest starts. */
import type { KvmSegment } from '../abi/kvm/index.ts';
import { checkInstance } from '../base/check.ts';
import { ArgumentError } from '../base/errors.ts';
import { boolean, integer, optional, shape } from '../base/shape.ts';
import { show } from '../base/text.ts';
import { Vcpu } from '../kvm/vcpu/vcpu.ts';
import { clearedRegs, entryAddress, ripAndFlags } from './entry.ts';

const CR0_ET = 1n << 4n;

/** Where a real16 guest starts. */
export interface Real16Entry {
  /** Guest physical address of the first instruction, below 1 MiB; CS is `rip >> 4` rounded down to a 4 KiB page. */
  rip: number;
  /** Initial SP. */
  rsp: number;
  /** The stack segment, 0..0xffff: the stack lies at `ss << 4`. Default 0. */
  ss?: number;
  /** What DS, ES, FS and GS hold, 0..0xffff. Default 0. */
  ds?: number;
  /** Start with RFLAGS.IF set. Default false. */
  interrupts?: boolean;
}

const real16Entry = shape<Real16Entry>('enterReal16() takes', {
  rip: entryAddress,
  rsp: entryAddress,
  ss: optional(integer(0, 0xffff)),
  ds: optional(integer(0, 0xffff)),
  interrupts: optional(boolean),
});

/**
 * Puts a vCPU into 16-bit real mode, as an AP is after SIPI: every segment has a limit of 64 KiB, the data segments
 * begin at 0 where `ds` says nothing else, and the interrupt vector table is at guest physical address 0.
 *
 * @throws ArgumentError for an address that real mode cannot reach
 */
export function enterReal16(vcpu: Vcpu, entry: Real16Entry): void {
  checkInstance('vcpu', vcpu, Vcpu);
  const given = real16Entry.take(entry, 'entry');
  const valid = (value: number, max: number) => Number.isInteger(value) && value >= 0 && value <= max;
  if (!valid(given.rip, 0xf_ffff) || !valid(given.rsp, 0xffff))
    throw new ArgumentError(
      'entry',
      `rip ${show(given.rip)}, rsp ${show(given.rsp)} cannot be reached in real mode`,
      'Code lies below 1 MiB, the stack below 64 KiB.',
    );
  const { ss = 0, ds = 0 } = given;
  const page = given.rip & ~0xfff;
  const data = realSegment(ds, 3);
  const sregs = vcpu.getSregs();
  vcpu.setSregs({
    ...sregs,
    cs: realSegment(page >> 4, 11),
    ds: data,
    es: data,
    fs: data,
    gs: data,
    ss: realSegment(ss, 3),
    idt: { base: 0n, limit: 0x3ff },
    cr0: CR0_ET,
    cr3: 0n,
    cr4: 0n,
    efer: 0n,
  });
  vcpu.setRegs({ ...clearedRegs, ...ripAndFlags({ ...given, rip: given.rip - page }) });
}

/** `type` as in a descriptor: 11 is code, 3 is data; the processor loads no descriptor in real mode. */
function realSegment(selector: number, type: number): KvmSegment {
  return {
    base: BigInt(selector) << 4n,
    limit: 0xffff,
    selector,
    type,
    present: 1,
    dpl: 0,
    db: 0,
    s: 1,
    l: 0,
    g: 0,
    avl: 0,
    unusable: 0,
  };
}
