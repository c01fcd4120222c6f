// A tiny device: a FIFO behind a port, and two registers in memory that nobody has. The guest checks what it reads.
import { asm, assertThat, done, machine } from 'kvm-dsm';

const PORT = 0x510;
const BASE = 0xd800_0000;

await using m = await machine();
const fifo = [...'DSM'].map((letter) => letter.charCodeAt(0));
let doorbells = 0;
m.onPortRead(PORT, () => fifo.shift() ?? 0);
m.onMmioRead({ at: BASE, size: 8 }, ({ physAddr }) => (physAddr === BigInt(BASE) ? 0x6b76_6d21 : doorbells++));

m.vcpu(0).program(asm.flat32`
    mov edx, ${PORT}
    xor eax, eax
    in al, dx
    mov ebx, eax
    in al, dx
    mov bh, al
    ${assertThat('ebx', '==', 0x5344, 'the first two bytes of the FIFO')}
    mov ebx, [${BASE}]
    ${assertThat('ebx', '==', 0x6b76_6d21, 'the register of the identity')}
    mov ebx, [${BASE + 4}]
    mov ebx, [${BASE + 4}]
    ${assertThat('ebx', '==', 1, 'the doorbell has been read once before')}
    ${done()}`);
const trace = await m.run({ until: 'done', deadline: '10s' });

trace.expectCount({ name: 'KVM_EXIT_IO', direction: 'in', port: PORT }, 2);
trace.expectCount({ name: 'KVM_EXIT_MMIO', isWrite: false }, 3);
