// An IPI storm: every vCPU sends to its neighbour as fast as the neighbour takes them. Each ICR write has to come out of
// its vCPU exactly once and in program order, and each IPI has to be handled exactly once.
//
//   kvm-dsm run examples/storm.ts 1000     sends 1000 IPIs per vCPU

import assert from 'node:assert/strict';
import { asm, done, ipiAndWait, machine } from 'kvm-dsm';

const PER_VCPU = Number(process.argv[2] ?? 100);
const VECTORS = 10;
const VCPUS = 3;
assert.ok(Number.isInteger(PER_VCPU / VECTORS) && PER_VCPU > 0, `a multiple of ${VECTORS}, not ${process.argv[2]}`);

await using m = await machine({ vcpus: VCPUS, apic: 'xapic' });

const neighbour = (id: number) => (id + 1) % VCPUS;
const vectors = Array.from({ length: VECTORS }, (_, index) => 0x40 + index * 0x11);
for (const { id } of m.vcpus) {
  const to = neighbour(id);
  // An edge that comes while the same vector waits is merged with it: so each waits until the one before was handled.
  const burst = vectors.map((vector) => ipiAndWait({ to, vector }, m.vcpu(to).counterAddress(vector)));
  m.vcpu(id).program(asm.flat32`
      mov edi, ${PER_VCPU / VECTORS}
    again:
      ${burst}
      dec edi
      jnz again
      ${done()}`);
}

const trace = await m.run({ until: 'done', deadline: '120s' });

for (const { id } of m.vcpus) {
  const writes = trace.named('KVM_EXIT_DSM_SEND_IRQ').filter(({ vcpu }) => vcpu === id);
  trace.expectCount({ name: 'KVM_EXIT_DSM_SEND_IRQ', vcpu: id }, 2 * PER_VCPU);
  writes.forEach(({ exit }, at) => {
    const vector = at % 2 === 0 ? undefined : vectors[((at - 1) / 2) % VECTORS];
    assert.deepEqual([exit.id, exit.destId, exit.icr?.vector], [id, neighbour(id), vector], `vCPU ${id}: write ${at}`);
  });
}
m.expectExactlyOnce();
