/**
 * Guests that KVM emulates for a stretch: without unrestricted guest no Intel CPU runs real mode with segments beyond
 * 64 KiB, and `handle_invalid_guest_state` emulates up to 130 instructions in a row.
 */
import { hlt, type Instruction, out8 } from '../../guest/bytes.ts';
import type { GuestCode } from '../../guest/code.ts';
import type { Machine } from '../../script/machine/machine.ts';
import { write32Real16 } from './code.ts';
import type { CheckContext } from './context.ts';
import { Driver } from './drive.ts';
import { at, DONE_PORT, type LapicWrite } from './guests.ts';
import { forwarding, parameterOff } from './needs.ts';

export const stretches = parameterOff('kvm_intel.unrestricted_guest');
export const stretchNeeds = [forwarding, stretches];
export const STRETCH_SOURCE = 'arch/x86/kvm/vmx/vmx.c: handle_invalid_guest_state';

/** `mov dword [register], value`. */
export const stretchWrite = ({ register, value }: LapicWrite): Instruction => write32Real16(at(register), value);

/** What each of these programs ends with, if it does not halt. */
export const stretchEnd: Instruction = out8(DONE_PORT);

/** A vCPU that is about to run instructions in real mode, its data segments from 0 to 4 GiB. */
export async function stretched(ctx: CheckContext, code: readonly Instruction[], on?: Machine): Promise<Driver> {
  const machine = on ?? (await ctx.machine({ vcpus: 1, apic: 'xapic' }));
  const bytes = Uint8Array.from([...code, stretchEnd, hlt].flatMap((one) => [...one]));
  const program: GuestCode = { mode: 'real16', bytes };
  machine.vcpu(0).program(program, { interrupts: false });
  const { vcpu } = machine.vcpu(0);
  const sregs = vcpu.getSregs();
  vcpu.setSregs({ ...sregs, ds: { ...sregs.ds, base: 0n, selector: 0, limit: 0xffff_ffff, g: 1 } });
  return new Driver(ctx, machine);
}
