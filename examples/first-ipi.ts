// The first IPI: vCPU 0 sends interrupt vector 0xf0 to the vCPU whose APIC id is 1, and a kernel with
// CONFIG_KVM_DSM_IRQ_FORWARD tells user space about it.
//
// A local APIC sends an interrupt when its ICR is written. In xAPIC mode the register has two halves in the APIC
// page at 0xfee00000: ICR2 holds the destination, and the write of ICR sends. The kernel forwards both writes: KVM_RUN
// returns twice with KVM_EXIT_DSM_SEND_IRQ, each time after the write has taken effect.

import { flat32, machine, out8, write32 } from 'kvm-dsm';

const ICR = 0xfee0_0300;
const ICR2 = 0xfee0_0310;
const DONE = 0x10; // any port that no in-kernel device has: the guest leaves by it

await using m = await machine({ vcpus: 2 });

m.vcpu(0).program(
  flat32(
    write32(ICR2, 0x0100_0000), // destination, bits 31:24: APIC id 1
    write32(ICR, 0x0000_40f0), //  send: fixed, physical, assert, edge, no shorthand, vector 0xf0
    out8(DONE),
  ),
);

const trace = await m.run({ until: { port: DONE }, deadline: '10s' });

trace.expect([
  { name: 'KVM_EXIT_DSM_SEND_IRQ', id: 0, register: 'ICR2', destId: 1, rip: 0x100an },
  {
    name: 'KVM_EXIT_DSM_SEND_IRQ',
    id: 0,
    register: 'ICR',
    destId: 1,
    icr: { vector: 0xf0, deliveryMode: 'fixed', destinationMode: 'physical', shorthand: 'none' },
    rip: 0x1014n,
  },
]);
