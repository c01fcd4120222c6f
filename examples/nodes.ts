// One machine over two nodes: vCPU 0 and 1 run in one VM, vCPU 2 and 3 in another. An interrupt between them is forwarded by an exit, carried
// as a message and replayed on the other side. With the address of a NATS server as argument the messages go through that.

import { asm, enableApic, idle, ipi, machine, nmi } from 'kvm-dsm';

const [transport = 'memory'] = process.argv.slice(2);
await using m = await machine({ nodes: [{ vcpus: [0, 1] }, { vcpus: [2, 3] }], transport, apic: 'xapic' });

for (const id of [1, 2, 3])
  m.vcpu(id).program(asm.flat32`
    ${enableApic()}
    ${idle()}`);
m.vcpu(0).program(asm.flat32`
    ${ipi({ to: 1, vector: 0x40 })}         ; stays on its node
    ${ipi({ to: 2, vector: 0x41 })}         ; goes to the other
    ${nmi(3)}
    ${ipi({ to: 'others', vector: 0x42 })}  ; one message, for both vCPUs there
    ${idle()}`);

// Each handler tells that it has run: the run ends with a line for each interrupt between the nodes, from the write to the handler.
await m.run({ tell: true, deadline: '30s' });

m.expectExactlyOnce([0x40, 0x41, 0x42]);
for (const [id, wanted] of ['0x40 0x42', '0x41 0x42', '0x2 0x42'].entries()) {
  // By `kvm-dsm node` some of them run in another process, which has their counters.
  if (!m.vcpu(id + 1).runsHere) continue;
  const handled = [...m.vcpu(id + 1).interrupts.keys()].map((vector) => `0x${vector.toString(16)}`).join(' ');
  if (handled !== wanted) throw new Error(`vCPU ${id + 1} handled ${handled}, not ${wanted}`);
}
for (const [node, { sent, forwarded, replayed }] of m.nodes.entries())
  console.log(`node ${node}: ${sent} sent, ${forwarded} of them forwarded; ${replayed} of the other's replayed`);
