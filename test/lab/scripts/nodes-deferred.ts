// Nodes of a kernel that leaves to them what its guests send (KVM_X86_APIC_EXIT_DEFER): all of it comes, and once; to vCPUs of
// the own node as to others'. With kvm.vector_hashing=0 no two VMs of a kernel would choose alike.
import assert from 'node:assert/strict';
import {
  asm,
  idle,
  initSipiSipi,
  ipi,
  logicalFlat,
  type Machine,
  type MachineOptions,
  machine,
  nmi,
  type Snippet,
  selfIpi,
  sync,
} from 'kvm-dsm';

const nodes = [{ vcpus: [0, 1] }, { vcpus: [2, 3] }];
const lowest = { destinationMode: 'logical', deliveryMode: 'lowestPriority' } as const;

async function send(m: Machine, id: number, ...snippets: (Snippet | string)[]): Promise<void> {
  for (const one of m.vcpus)
    one.program(asm.flat32`
    ${one.id === id ? snippets : []}
    ${idle()}`);
  await m.run({ deadline: '60s' });
}

const counters = (m: Machine) => m.vcpus.map(({ interrupts }) => Object.fromEntries(interrupts));
const four = (options: MachineOptions = {}) => machine({ nodes, apic: 'xapic', ...options });

async function setUp(m: Machine, each: (id: number) => Snippet): Promise<void> {
  for (const one of m.vcpus)
    one.program(asm.flat32`
    ${each(one.id)}
    ${idle()}`);
  await m.run({ deadline: '60s' });
}

{
  await using m = await four();
  await setUp(m, (id) => logicalFlat(1 << id));
  const vectors = Array.from({ length: 16 }, (_, index) => 0x40 + index);
  await send(m, 0, ...vectors.map((vector) => ipi({ to: 0b1111, vector, ...lowest })));
  // To two of the own node and one of the other; and to one that is there.
  await send(m, 1, ipi({ to: 0b0111, vector: 0x60, ...lowest }), ipi({ to: 0b1000, vector: 0x61, ...lowest }));
  for (const vector of [...vectors, 0x60, 0x61]) {
    const times = m.vcpus.map(({ interrupts }) => interrupts.get(vector) ?? 0);
    assert.equal(
      times.reduce((sum, count) => sum + count),
      1,
      `vector ${vector}: ${times}`,
    );
  }
  assert.equal(m.vcpu(3).interrupts.get(0x61), 1);
  m.expectExactlyOnce();
  for (const { to, command } of m.nodeIpis())
    assert.deepEqual([to.length, to[0]!.vcpus.length], [1, 1], `vector ${command.vector} is for one vCPU of one node`);
}
{
  await using m = await four();
  await setUp(m, (id) => logicalFlat(1 << id));
  await send(
    m,
    0,
    ipi({ to: 1, vector: 0x41 }),
    ipi({ to: 2, vector: 0x42 }),
    ipi({ to: 'self', vector: 0x43 }),
    ipi({ to: 'all', vector: 0x44 }),
    ipi({ to: 'others', vector: 0x45 }),
    ipi({ to: 0b0110, vector: 0x46, destinationMode: 'logical' }),
    nmi(1),
    nmi(3),
  );
  assert.deepEqual(counters(m), [
    { 67: 1, 68: 1 },
    { 2: 1, 65: 1, 68: 1, 69: 1, 70: 1 },
    { 66: 1, 68: 1, 69: 1, 70: 1 },
    { 2: 1, 68: 1, 69: 1 },
  ]);
  m.expectExactlyOnce();
}
{
  await using m = await four({ apic: 'x2apic' });
  const access = { x2apic: true };
  await send(
    m,
    2,
    selfIpi(0x41),
    ipi({ to: 0, vector: 0x42, ...access }),
    ipi({ to: 3, vector: 0x43, ...access }),
    ipi({ to: 'all', vector: 0x44, ...access }),
    ipi({ to: 'others', vector: 0x45, ...access }),
    ipi({ to: 'self', vector: 0x46, ...access }),
    ipi({ to: 0b1111, vector: 0x48, ...lowest, ...access }),
  );
  const [zero, ...others] = counters(m);
  // 0x48 is 0 of four.
  assert.deepEqual(zero, { 66: 1, 68: 1, 69: 1, 72: 1 });
  assert.deepEqual(others, [
    { 68: 1, 69: 1 },
    { 65: 1, 68: 1, 70: 1 },
    { 67: 1, 68: 1, 69: 1 },
  ]);
  m.expectExactlyOnce();
}
for (const target of [1, 3]) {
  await using m = await four();
  const started = m.vcpu(target).program(
    asm.flat32`
    ${sync('there')}
    ${idle()}`,
    { start: 'sipi' },
  );
  m.vcpu(0).program(asm.flat32`
    ${initSipiSipi(target, started.sipiVector)}
    ${idle()}`);
  await m.run({ until: { sync: 'there', vcpu: target }, deadline: '60s' });
}
{
  await using m = await four();
  // KVM_HC_SEND_IPI to the APIC ids 1 and 2: its bitmap counts from 1.
  await send(m, 0, 'mov eax, 10', 'mov ebx, 3', 'mov ecx, 0', 'mov edx, 1', 'mov esi, 0x45', 'vmmcall');
  assert.deepEqual(counters(m), [{}, { 69: 1 }, { 69: 1 }, {}]);
  m.expectExactlyOnce();
}
for (const target of [1, 3]) {
  await using m = await four();
  // Nothing but a kick wakes it: KVM_HC_KICK_CPU by APIC id.
  m.vcpu(target).program(asm.flat32`
    cli
    hlt
    ${sync('there')}
    ${idle()}`);
  m.vcpu(0).program(asm.flat32`
    mov eax, 5
    mov ebx, 0
    mov ecx, ${target}
    vmmcall
    ${idle()}`);
  await m.run({ until: { sync: 'there', vcpu: target }, deadline: '60s' });
}
console.log('nodes-deferred: all of it came, and once');
