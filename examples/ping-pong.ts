// Fixed IPI ping-pong: vCPU 0 sends vector 0x40, vCPU 1 answers with 0x41, a hundred times.
import { asm, done, ipi, machine, repeat, waitUntil } from 'kvm-dsm';

const ROUNDS = 100;
await using m = await machine({ vcpus: 2, apic: 'xapic' });

// The machine counts the interrupts that a vCPU takes; `edi` is the round that the counter has to come to.
const taken = (id: number, vector: number) => waitUntil(m.vcpu(id).counterAddress(vector), 'edi');

m.vcpu(0).program(asm.flat32`
    ${repeat(ROUNDS, [ipi({ to: 1, vector: 0x40 }), 'inc edi', taken(0, 0x41)])}
    ${done()}`);
m.vcpu(1).program(asm.flat32`
    ${repeat(ROUNDS, ['inc edi', taken(1, 0x40), ipi({ to: 0, vector: 0x41 })])}
    ${done()}`);

const trace = await m.run({ until: 'done', deadline: '30s' });

trace.expectCount({ name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR', vcpu: 0, destId: 1 }, ROUNDS);
trace.expectCount({ name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR', vcpu: 1, destId: 0 }, ROUNDS);
m.expectExactlyOnce();
