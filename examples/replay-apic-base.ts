// Exit 47: a guest changes the mode of its local APIC, and the replica of its vCPU on another machine has to follow, or it
// would take the next write for another. The lab kernel's extension makes the exit; KVM_DSM_APIC_BASE replays the write.

import assert from 'node:assert/strict';
import { asm, enableReservedExits, enterX2apic, machine, sync } from 'kvm-dsm';

using on = enableReservedExits(['KVM_EXIT_DSM_APIC_BASE']);
await using first = await machine({ vcpus: 2, apic: 'xapic' });
on[Symbol.dispose]();
await using second = await machine({ vcpus: 2, apic: 'xapic' });

first.vcpu(1).program(asm.flat32`
    ${enterX2apic()}
    ${sync('changed')}`);
const trace = await first.run({ until: { sync: 'changed' }, deadline: '30s' });
trace.expect([{ name: 'KVM_EXIT_DSM_APIC_BASE', id: 1, host: false, index: 0x1b, data: 0xfee0_0c00n }]);

const apicBase = () => second.vcpu(1).vcpu.getSregs().apicBase;
assert.equal(apicBase(), 0xfee0_0800n);
for (const { exit } of trace.named('KVM_EXIT_DSM_APIC_BASE')) second.dsmApicBase({ ...exit, vcpuId: exit.id });
assert.equal(apicBase(), 0xfee0_0c00n);
