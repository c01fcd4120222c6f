// A trace with so many events (the argument): how much memory the run takes, in MiB; and its judgements, which keep none of them.
import assert from 'node:assert/strict';
import { asm, idle, ipi, machine, sync } from 'kvm-dsm';

const count = Number(process.argv[2]);
await using m = await machine({ vcpus: 2, apic: 'xapic' });
m.vcpu(1).program(asm.flat32`
    ${idle()}`);
m.vcpu(0).program(asm.flat32`
    ${ipi({ to: 1, vector: 0x40 })}
    mov ecx, ${count}
    again:
    out 0x77, al
    dec ecx
    jnz again
    ${sync('over')}`);
const rss = () => process.memoryUsage().rss / (1 << 20);
const before = rss();
let most = before;
const timer = setInterval(() => {
  most = Math.max(most, rss());
}, 50);
await m.run({ until: { sync: 'over', vcpu: 0 }, deadline: '900s' });
clearInterval(timer);
assert.ok(m.trace.length > count);
m.expectExactlyOnce();
m.trace.expect([
  { name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR2' },
  { name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR' },
]);
console.log(JSON.stringify({ before, growth: most - before }));
