/** A guest made for the APIC page, whose LAPIC has no registers there. */
import { hex } from '../../../base/text.ts';
import type { Snapshot } from '../snapshot.ts';
import type { Cause } from '../types.ts';

/**
 * KVM takes such a write and does nothing, without an exit (KVM_X86_QUIRK_LAPIC_MMIO_HOLE): the program's own bytes are
 * all that tells of it.
 */
export function apicPageCauses({ vcpus }: Snapshot): Cause[] {
  return vcpus.flatMap(({ id, cpu, program }) => {
    if (typeof cpu === 'string' || !program || !cpu.lapic || cpu.lapic.view.mode === 'xapic') return [];
    const register = registerIn(program.bytes);
    if (register === undefined) return [];
    const mode = cpu.lapic.view.mode === 'x2apic' ? 'in x2APIC mode' : 'disabled (IA32_APIC_BASE bit 11 is 0)';
    const text = `vCPU ${id}'s LAPIC is ${mode}, and its program holds ${hex(register)}: a write there reaches no register`;
    return [{ text, vcpus: [id], weight: 72 }];
  });
}

/** The first address of a register in the APIC page, 0xfee00xx0, that stands in code. */
function registerIn(bytes: Uint8Array): number | undefined {
  for (let at = 0; at + 4 <= bytes.length; at++)
    if (bytes[at + 3] === 0xfe && bytes[at + 2] === 0xe0 && bytes[at + 1]! < 0x10 && (bytes[at]! & 0xf) === 0)
      return 0xfee0_0000 + bytes[at + 1]! * 0x100 + bytes[at]!;
  return undefined;
}
