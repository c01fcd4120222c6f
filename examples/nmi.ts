// An NMI by IPI: it reaches vCPU 1 although that has interrupts disabled.

import assert from 'node:assert/strict';
import { asm, idle, ipi, machine, nmi, sync, waitUntil } from 'kvm-dsm';

const NMI = 2; // its vector in the IDT, whatever the ICR says

await using m = await machine({ vcpus: 2, apic: 'xapic' });

m.vcpu(1).program(asm.flat32`${idle()}`, { interrupts: false });
m.vcpu(0).program(asm.flat32`
    ${ipi({ to: 1, vector: 0x40 })}     ; waits: RFLAGS.IF is clear there
    ${nmi(1)}                           ; does not
    ${waitUntil(m.vcpu(1).counterAddress(NMI), 1)}
    ${sync('the NMI was taken')}`);

const trace = await m.run({ until: { sync: 'the NMI was taken' }, deadline: '30s' });

trace.expectInOrder([
  { name: 'KVM_EXIT_DSM_SEND_IRQ', destId: 1, icr: { deliveryMode: 'fixed', vector: 0x40 } },
  { name: 'KVM_EXIT_DSM_SEND_IRQ', destId: 1, icr: { deliveryMode: 'nmi' } },
]);
assert.deepEqual([...m.vcpu(1).interrupts], [[NMI, 1]]);
assert.deepEqual(m.vcpu(1).vcpu.lapic().irr, [0x40]);
