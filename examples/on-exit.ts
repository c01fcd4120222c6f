// A live hook: each exit as it comes, with the vCPU out of the guest until the hook's promise resolves.
import { equal } from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { asm, machine } from 'kvm-dsm';

await using m = await machine();
const { vcpu } = m.vcpu(0).program(asm.flat32`
    mov ecx, 3
again:
    in al, 0x60
    out 0x61, al
    loop again
    out 0x62, al
    hlt`);

let next = 0x41;
const echoed: number[] = [];
const run = vcpu.start({
  async onExit(exit, run) {
    if (exit.name !== 'KVM_EXIT_IO') return;
    await setImmediate(); // such as a question to another process
    if (exit.direction === 'in') vcpu.completeRead(next++);
    else if (exit.port === 0x61) echoed.push(exit.data[0]!);
    else run.askToStop();
  },
});
await run.ended({ deadline: '10s' });

equal(String.fromCharCode(...echoed), 'ABC');
