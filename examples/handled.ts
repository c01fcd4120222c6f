// The shortest test of an IPI: it is over when vCPU 1 has handled the vector, so that nothing is a race.
import { asm, done, idle, ipi, machine } from 'kvm-dsm';

await using m = await machine({ vcpus: 2, apic: 'xapic' });
m.vcpu(0).program(asm.flat32`
    ${ipi({ to: 1, vector: 0xf0 })}
    ${done()}`);
m.vcpu(1).program(asm.flat32`${idle()}`);

const trace = await m.run({ until: { handled: 0xf0, vcpu: 1 }, deadline: '10s' });

trace.expectCount({ handled: 0xf0, vcpu: 1 }, 1);
m.expectExactlyOnce([0xf0]);
