// The guest asserts that its APIC id is 1, and runs on vCPU 0.
import { asm, assertThat, done, machine } from 'kvm-dsm';

await using m = await machine({ apic: 'xapic' });

m.vcpu(0).program(asm.flat32`
    mov ebx, [0xfee00020]
    shr ebx, 24
    ${assertThat('ebx', '==', 1, 'the APIC id is 1')}
    ${done()}
`);

await m.run({ until: 'done', deadline: '5s' });
