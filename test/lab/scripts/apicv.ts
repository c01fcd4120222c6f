// The first IPI with APICv left as the host has it.
import { flat32, machine, out8, write32 } from 'kvm-dsm';

await using m = await machine({ vcpus: 2, apicv: true });
m.vcpu(0).program(flat32(write32(0xfee0_0310, 0x0100_0000), write32(0xfee0_0300, 0x40f0), out8(0x10)));
const trace = await m.run({ until: { port: 0x10 } });
trace.expect([
  { name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR2' },
  { name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR' },
]);
