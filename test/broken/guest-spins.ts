// An endless loop stands where the guest should have said that it is done.
import { asm, done, ipi, machine } from 'kvm-dsm';

await using m = await machine({ vcpus: 2, apic: 'xapic' });

m.vcpu(0).program(asm.flat32`
    ${ipi({ to: 1, vector: 0x41 })}
  forever:
    jmp forever
    ${done()}
`);
m.vcpu(1).program(asm.flat32`
  .idle:
    hlt
    jmp .idle
`);

await m.run({ until: 'done', deadline: '2s' });
