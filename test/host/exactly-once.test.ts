/** What expectExactlyOnce says of what it cannot judge, on a machine: none of it needs a kernel that forwards. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asm, ExpectationError, enableApic, idle, type Machine, machine, sync } from '../../lib/index.ts';
import { noKvm } from '../support/host.ts';

function verdict(check: () => void): string {
  try {
    check();
  } catch (error) {
    assert.ok(error instanceof ExpectationError, String(error));
    return error.message;
  }
  return 'nothing was wrong';
}

test('a message that the script sent itself is no second delivery', { skip: noKvm }, async () => {
  await using m = await machine({ apic: 'xapic' });
  m.vcpu(0).program(asm.flat32`${sync('ready')}
    ${idle()}`);
  await m.run({ until: { sync: 'ready' } });
  m.signalMsi({ addressLo: 0xfee0_0000, data: 0x41 });
  await m.run();
  assert.equal(m.vcpu(0).interrupts.get(0x41), 1);
  m.expectExactlyOnce();
});

test('what a line of the IOAPIC brings is not judged', { skip: noKvm }, async () => {
  await using m = await machine({ apic: 'xapic' });
  const { redirtbl } = m.vm.getIrqchip('ioapic');
  m.vm.setIrqchip('ioapic', { redirtbl: redirtbl.map((entry, pin) => (pin === 20 ? 0x42n : entry)) });
  m.vcpu(0).program(asm.flat32`${sync('ready')}
    ${idle()}`);
  await m.run({ until: { sync: 'ready' } });
  m.irqLine(20, true);
  m.irqLine(20, false);
  await m.run();
  assert.equal(m.vcpu(0).interrupts.get(0x42), 1);
  assert.match(
    verdict(() => m.expectExactlyOnce()),
    /^vCPU 0 handled vector 0x42 once.*: not judged, since/,
  );
});

test('an APIC that the guest has changed: what it was in a run is still known after it', { skip: noKvm }, async () => {
  await using m = await machine();
  m.vcpu(0).program(asm.flat32`${enableApic()}
    ${sync('ready')}
    ${idle()}`);
  await m.run({ until: { sync: 'ready' } });
  m.signalMsi({ addressLo: 0xfee0_0000, data: 0x43 });
  await m.run();
  m.vcpu(0).vcpu.setLapicRegisters({ SVR: 0 });
  m.expectExactlyOnce();
});

test('vectors that are none are refused', { skip: noKvm }, async () => {
  await using m = await machine({ apic: 'xapic' });
  for (const vectors of [[], [2], [256]])
    assert.throws(() => m.expectExactlyOnce(vectors), { code: 'ERR_ARGUMENT', argument: 'vectors' });
});

/** Vector 0x44 comes to a vCPU that waits, past the trace. */
async function afterMessage(prepare: (m: Machine) => void): Promise<string> {
  await using m = await machine({ apic: 'xapic' });
  prepare(m);
  m.vcpu(0).program(asm.flat32`${sync('ready')}
    ${idle()}`);
  await m.run({ until: { sync: 'ready' } });
  // No act, and no IPI: of the trace nothing tells of it.
  m.vcpu(0).vcpu.setLapicRegisters({ IRR2: 1 << 4 });
  await m.run();
  assert.equal(m.vcpu(0).interrupts.get(0x44), 1);
  return verdict(() => m.expectExactlyOnce());
}

for (const [source, reason, prepare] of [
  ['nothing', /vector 0x44/, () => {}],
  ['an LVT entry', /LVT_TIMER has that vector as well/, (m) => m.vcpu(0).vcpu.setLapicRegisters({ LVT_TIMER: 0x44 })],
  ['the spurious vector', /spurious vector/, (m) => m.vcpu(0).vcpu.setLapicRegisters({ SVR: 0x144 })],
  [
    'a route of a GSI',
    /a GSI is routed to it/,
    (m) => m.vm.setGsiRouting([{ gsi: 24, type: 'msi', addressLo: 0xfee0_0000, data: 0x44 }]),
  ],
] satisfies [string, RegExp, (m: Machine) => void][]) {
  test(`a vector that ${source} may bring as well`, { skip: noKvm }, async () => {
    const said = await afterMessage(prepare);
    assert.match(said, reason);
    assert.equal(/not judged/.test(said), source !== 'nothing', said);
  });
}
