// A run that is over when an interrupt was handled.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ArgumentError, asm, idle, ipi, machine, nmi, repeat, sync, waitUntil } from '../../lib/index.ts';
import { noKvm } from '../support/host.ts';

const options = { skip: noKvm };
const modes = ['flat32', 'long64'] as const;

for (const mode of modes)
  for (const apic of ['xapic', 'x2apic'] as const)
    test(
      `${mode}, ${apic}: it ends with that handling, whose EOI is written, and the guest goes on`,
      options,
      async () => {
        await using m = await machine({ vcpus: 2, apic });
        const send = ipi({ to: 1, vector: 0xf0, x2apic: apic === 'x2apic' });
        const taken = waitUntil(m.vcpu(1).counterAddress(0xf0), 'edi');
        m.vcpu(0).program(asm[mode]`
          ${repeat(5, [send, 'inc edi', taken])}
          ${sync('all')}
          ${idle()}`);
        m.vcpu(1).program(asm[mode]`
          mov ebx, 0x1234
          ${idle()}`);
        const trace = await m.run({ until: { handled: 0xf0, vcpu: 1, count: 3 }, deadline: '20s' });
        trace.expectCount({ handled: 0xf0, vcpu: 1 }, 3);
        const last = [...trace].findLast(({ word }) => word?.kind === 'handled');
        assert.deepEqual(last?.word, { kind: 'handled', vector: 0xf0 });
        assert.equal(m.vcpu(1).interrupts.get(0xf0), 3);
        assert.deepEqual(m.vcpu(1).vcpu.lapic().isr, [], 'it got its EOI');
        // Nobody waits for it now, so that the handler says nothing.
        await m.run({ until: { sync: 'all' }, deadline: '20s' });
        trace.expectCount({ handled: 0xf0 }, 3);
        assert.equal(m.vcpu(1).interrupts.get(0xf0), 5);
        assert.equal(m.vcpu(1).vcpu.getRegs().rbx, 0x1234n, 'the handler leaves the registers as they were');
      },
    );

test('of all vCPUs together, if none is named; an NMI; one vCPU alone', options, async () => {
  await using m = await machine({ vcpus: 3, apic: 'xapic' });
  m.vcpu(0).program(asm.flat32`
      ${ipi({ to: 'others', vector: 0x61 })}
      ${waitUntil(m.shared, 1)}
      ${nmi(2)}
      ${idle()}`);
  for (const id of [1, 2]) m.vcpu(id).program(asm.flat32`${idle()}`);
  const trace = await m.run({ until: { handled: 0x61, count: 2 }, deadline: '20s' });
  assert.deepEqual(
    new Set([...trace].flatMap(({ word, vcpu }) => (word?.kind === 'handled' ? [vcpu] : []))),
    new Set([1, 2]),
  );
  // The NMI belongs to the second run.
  m.memory.write(m.shared, Uint8Array.of(1));
  await m.run({ until: { handled: 'NMI', vcpu: 2 }, deadline: '20s' });
  assert.equal(m.vcpu(2).interrupts.get(2), 1);
  await using one = await machine({ apic: 'xapic' });
  one.vcpu(0).program(asm.flat32`
      ${ipi({ to: 'self', vector: 0x62 })}
      ${idle()}`);
  await one.run({ until: { handled: 0x62 }, deadline: '20s' });
  one.trace.expectInOrder([{ handled: 0x62, vcpu: 0 }]);
});

test('an exit that a function waits for comes the same way', options, async () => {
  await using m = await machine({ apic: 'xapic' });
  m.vcpu(0).program(asm.flat32`
      ${ipi({ to: 'self', vector: 0x62 })}
      ${sync('over')}
      ${idle()}`);
  await m.run({ until: ({ word }) => word?.kind === 'sync', deadline: '20s' });
  m.trace.expectNone({ handled: 0x62 });
});

test('a vector that no handler of the machine counts is refused', options, async () => {
  await using m = await machine({ vcpus: 2 });
  m.vcpu(0).program(
    asm.flat32`
    .idle:
      hlt
      jmp .idle
    on_ipi:
      iretd
  `,
    { handlers: { 65: 'on_ipi' } },
  );
  m.vcpu(1).program(asm.flat32`hlt`, { idt: false });
  const refusal = async (until: { handled: number; vcpu?: number }) => {
    const error = await m.run({ until }).then(
      () => assert.fail('it ended well'),
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof ArgumentError, String(error));
    assert.equal(error.argument, 'until.handled');
    return error.message;
  };
  assert.match(
    await refusal({ handled: 0x41 }),
    /^vCPU 0 cannot tell that it has handled vector 0x41: its program handles/,
  );
  assert.match(await refusal({ handled: 0x42, vcpu: 1 }), /^vCPU 1 cannot tell .* an empty IDT/);
  assert.equal(m.trace.length, 0);
});
