// What the snippets do in a guest. Those that only send are in test/unit; that they arrive is seen here.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  asm,
  assertThat,
  done,
  enableApic,
  enterX2apic,
  GuestAssertionError,
  idle,
  increment,
  initSipiSipi,
  ipi,
  ipiAndWait,
  leaveX2apic,
  logicalCluster,
  logicalFlat,
  machine,
  nmi,
  relocateApic,
  repeat,
  selfIpi,
  sync,
  tell,
  waitUntil,
} from '../../lib/index.ts';
import { noKvm } from '../support/host.ts';

const options = { skip: noKvm };
const deadline = '30s';
const modes = ['flat32', 'long64'] as const;

for (const mode of modes) {
  test(`${mode}: sync points, values, and the end of each vCPU`, options, async () => {
    await using m = await machine({ vcpus: 2 });
    for (const { id } of m.vcpus)
      m.vcpu(id).program(asm[mode]`
        ${increment(m.shared)}
        ${waitUntil(m.shared, 2)}
        mov ebx, 0x1234
        ${tell('ebx', 'ebx')}
        ${tell('shared', `dword [${m.shared}]`)}
        ${sync(`vCPU ${id} is ready`)}
        ${done()}
        ud2
      `);
    const trace = await m.run({ until: 'done', deadline });
    for (const { id } of m.vcpus) {
      const words = [...trace].filter(({ vcpu }) => vcpu === id).map(({ word }) => word);
      assert.deepEqual(words, [
        { kind: 'value', name: 'ebx', value: 0x1234 },
        { kind: 'value', name: 'shared', value: 2 },
        { kind: 'sync', name: `vCPU ${id} is ready` },
        { kind: 'done' },
      ]);
    }
  });

  test(`${mode}: assertions, each condition both ways`, options, async () => {
    const conditions = [
      ['==', 5, 6],
      ['!=', 6, 5],
      ['<', 6, 5],
      ['<=', 5, 4],
      ['>', 4, 5],
      ['>=', 5, 6],
    ] as const;
    for (const [condition, holds, fails] of conditions) {
      await using m = await machine();
      m.vcpu(0).program(asm[mode]`
        mov ebx, 5
        ${assertThat('ebx', condition, holds)}
        ${assertThat('ebx', condition, fails, 'five it is')}
        ${done()}
      `);
      await assert.rejects(m.run({ until: 'done', deadline }), (error) => {
        assert.ok(error instanceof GuestAssertionError);
        assert.match(error.message, /five it is, got 0x5/);
        return true;
      });
    }
  });

  test(`${mode}: INIT, SIPI, SIPI from the guest's own enabled APIC`, options, async () => {
    await using m = await machine({ vcpus: 3 });
    for (const id of [1, 2])
      m.vcpu(id).program(
        asm[mode]`
          ${enableApic()}
          ${sync(id)}
          ${increment(m.shared)}
          ${idle()}`,
        { start: 'sipi' },
      );
    m.vcpu(0).program(asm[mode]`
      ${enableApic()}
      ${initSipiSipi(1, m.vcpu(1).sipiVector)}
      ${initSipiSipi(2, m.vcpu(2).sipiVector)}
      ${waitUntil(m.shared, 2)}
      ${ipi({ to: 'others', vector: 0x66 })}
      ${waitUntil(m.vcpu(1).counterAddress(0x66), 1)}
      ${waitUntil(m.vcpu(2).counterAddress(0x66), 1)}
      ${sync('both')}
    `);
    await m.run({ until: { sync: 'both' }, deadline });
    for (const id of [1, 2]) assert.equal(m.vcpu(id).interrupts.get(0x66), 1);
    assert.equal(m.vcpu(0).interrupts.size, 0);
  });

  test(`${mode}: logical destinations, flat and cluster, and NMIs`, options, async () => {
    await using m = await machine({ vcpus: 3, apic: 'xapic' });
    const logical = { destinationMode: 'logical' } as const;
    const [, one, two] = m.vcpus;
    m.vcpu(0).program(asm[mode]`
      ${logicalFlat(1)}
      ${waitUntil(m.shared, 2)}
      ${ipiAndWait({ to: 0b100, vector: 0x41, ...logical }, two!.counterAddress(0x41))}
      ${ipiAndWait({ to: 0b110, vector: 0x42, ...logical }, two!.counterAddress(0x42))}
      ${waitUntil(one!.counterAddress(0x42), 1)}
      ${nmi(1)}
      ${waitUntil(one!.counterAddress(2), 1)}
      ${sync('flat')}
    `);
    for (const { id } of [one!, two!])
      m.vcpu(id).program(asm[mode]`
        ${logicalFlat(1 << id)}
        ${increment(m.shared)}
        ${idle()}`);
    await m.run({ until: { sync: 'flat' }, deadline });
    assert.deepEqual(
      [...one!.interrupts],
      [
        [2, 1],
        [0x42, 1],
      ],
    );
    assert.deepEqual(
      [...two!.interrupts],
      [
        [0x41, 1],
        [0x42, 1],
      ],
    );

    await using n = await machine({ vcpus: 2, apic: 'xapic' });
    n.vcpu(1).program(asm[mode]`
      ${logicalCluster(2, 0b0010)}
      ${increment(n.shared)}
      ${idle()}`);
    n.vcpu(0).program(asm[mode]`
      ${logicalCluster(1, 0b0010)}
      ${waitUntil(n.shared, 1)}
      ${ipiAndWait({ to: 0x22, vector: 0x43, ...logical }, n.vcpu(1).counterAddress(0x43))}
      ${sync('cluster')}`);
    await n.run({ until: { sync: 'cluster' }, deadline });
    assert.deepEqual([...n.vcpu(1).interrupts], [[0x43, 1]]);
    assert.equal(n.vcpu(0).interrupts.size, 0);
  });

  test(`${mode}: into x2APIC mode and back, and a storm in both`, options, async () => {
    await using m = await machine();
    const counter = m.vcpu(0).counterAddress(0x51);
    m.vcpu(0).program(asm[mode]`
      ${enterX2apic()}
      ${repeat(10, ipiAndWait({ to: 0, vector: 0x51, x2apic: true }, counter))}
      ${selfIpi(0x52)}
      ${waitUntil(m.vcpu(0).counterAddress(0x52), 1)}
      ${leaveX2apic()}
      ${enableApic()}
      ${repeat(10, ipiAndWait({ to: 'self', vector: 0x51 }, counter))}
      ${relocateApic(0xfed0_0000)}
      ${repeat(10, ipiAndWait({ to: 'self', vector: 0x51, base: 0xfed0_0000 }, counter))}
      ${done()}`);
    await m.run({ until: 'done', deadline });
    assert.deepEqual(
      [...m.vcpu(0).interrupts],
      [
        [0x51, 30],
        [0x52, 1],
      ],
    );
  });
}
