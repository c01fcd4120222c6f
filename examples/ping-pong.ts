// Fixed IPI ping-pong: vCPU 0 sends vector 0x40, vCPU 1 answers with 0x41, a hundred times.
import { asm, done, ipi, machine, repeat, snippet, waitUntil } from 'kvm-dsm';

const ROUNDS = 100;
await using m = await machine({ vcpus: 2, apic: 'xapic' });

// Each machine counts the interrupts that its handlers take; `edi` is the round that this side is in.
const nextRound = (counter: number) => snippet`
    inc edi
    ${waitUntil(counter, 'edi')}`;
const [ping, pong] = [m.vcpu(1).counterAddress(0x40), m.vcpu(0).counterAddress(0x41)];

m.vcpu(0).program(asm.flat32`
    ${repeat(ROUNDS, snippet`${ipi({ to: 1, vector: 0x40 })} ${nextRound(pong)}`)}
    ${done()}`);
m.vcpu(1).program(asm.flat32`
    ${repeat(ROUNDS, snippet`${nextRound(ping)} ${ipi({ to: 0, vector: 0x41 })}`)}
    ${done()}`);

const trace = await m.run({ until: 'done', deadline: '30s' });
trace.expectCount({ name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR', vcpu: 0, destId: 1 }, ROUNDS);
trace.expectCount({ name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR', vcpu: 1, destId: 0 }, ROUNDS);
m.expectExactlyOnce();
