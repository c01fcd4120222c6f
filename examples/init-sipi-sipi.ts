// How a boot CPU starts another: INIT, then SIPI twice. vCPU 1 waits for it as after reset; its program starts in real
// mode at the page that the SIPI names, and the machine's trampoline takes it to 64-bit mode.

import { asm, done, enableApic, initSipiSipi, machine, sync } from 'kvm-dsm';

await using m = await machine({ vcpus: 2 });

const ap = m.vcpu(1).program(
  asm.long64`
    ${sync('the AP runs')}
    ${done()}`,
  { start: 'sipi' },
);
m.vcpu(0).program(asm.flat32`
    ${enableApic()}
    ${initSipiSipi(1, ap.sipiVector)}
    ${done()}`);

const trace = await m.run({ until: 'done', deadline: '30s' });

const toAp = { name: 'KVM_EXIT_DSM_SEND_IRQ', vcpu: 0, destId: 1 } as const;
trace.expectInOrder([
  { ...toAp, register: 'ICR2' },
  { ...toAp, icr: { deliveryMode: 'init' } },
  { ...toAp, icr: { deliveryMode: 'startUp', vector: ap.sipiVector } },
]);
// The exit is a notification: the AP may run before user space hears of the SIPI.
trace.expectInOrder([{ sync: 'the AP runs', vcpu: 1 }]);
