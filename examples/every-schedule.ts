/**
 * An IPI in xAPIC mode takes two writes: the destination to ICR2, then the rest to ICR. An interrupt between them whose handler
 * sends an IPI as well leaves its own destination in ICR2, and the first IPI goes astray. Most runs never show it. Under every
 * schedule of the two vCPUs one does; and with interrupts disabled around the pair, none.
 */
import { asm, done, eoi, InvariantError, icr, icr2, type Machine, machine } from 'kvm-dsm';

await using m = await machine({ vcpus: 3, apic: 'xapic' });

/** vCPU 0 sends 0x40 to vCPU 2; vCPU 1 interrupts it by 0x50, which it answers by 0x60. */
const programs = (disable: string, enable: string) => [
  {
    code: asm.long64`
        ${disable}
        ${icr2(2)}
        ${icr({ vector: 0x40 })}
        ${enable}
        ${done()}
    answer:
        ${icr2(1)}
        ${icr({ vector: 0x60 })}
        ${eoi()}
        iretq`,
    handlers: { 80: 'answer' },
  },
  asm.flat32`
        ${icr2(0)}
        ${icr({ vector: 0x50 })}
        ${done()}`,
];

const arrives = (m: Machine) => m.vcpu(2).vcpu.lapic().irr.includes(0x40) || 'vector 0x40 did not come to vCPU 2';

try {
  await m.explore(programs('', ''), arrives);
  throw new Error('the bug was not found');
} catch (error) {
  if (!(error instanceof InvariantError)) throw error;
  console.log(`${error.message}\n${error.report}\n`);
}

const { schedules } = await m.explore(programs('cli', 'sti'), arrives);
console.log(`with interrupts disabled around the pair it arrives under each of the ${schedules} schedules`);
