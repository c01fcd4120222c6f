import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  asm,
  ClosedError,
  cli,
  done,
  flat32,
  GuestFailureError,
  hlt,
  idle,
  ipi,
  machine,
  out8,
  out8Value,
  spin,
  write32,
} from '../../lib/index.ts';
import { countOutTimes, sendIpi, wait32 } from '../support/guest.ts';
import { noKvm } from '../support/host.ts';

const options = { skip: noKvm, timeout: 30_000 };
const FLAG = 0x800;

test('vCPUs that wait for each other run side by side, and each has its exits in order', options, async () => {
  await using m = await machine({ vcpus: 3 });
  m.vcpu(0).program(flat32(out8Value(1, 1), write32(FLAG, 1), wait32(FLAG, 3), out8Value(1, 2), out8(0x10), spin));
  m.vcpu(1).program(flat32(wait32(FLAG, 1), out8Value(2, 1), write32(FLAG, 2), spin));
  m.vcpu(2).program(flat32(wait32(FLAG, 2), out8Value(3, 1), write32(FLAG, 3), spin));
  const trace = await m.run({ until: { port: 0x10 } });
  const ports = [...trace].map(({ exit }) => exit.name === 'KVM_EXIT_IO' && exit.port);
  assert.deepEqual(ports, [1, 2, 3, 1, 0x10]);
  assert.deepEqual(
    [...trace].map(({ seq }) => seq),
    [0, 1, 2, 3, 4],
  );
});

test('a run can be gone on with, and no exit is lost between two runs', options, async () => {
  await using m = await machine({ vcpus: 2 });
  for (const id of [0, 1]) m.vcpu(id).program(flat32(countOutTimes(0x20 + id, 500), cli, hlt));
  for (let i = 1; i <= 20; i++) await m.run({ until: { exits: 10 } });
  await m.run({ until: 'halted' });
  for (const id of [0, 1]) {
    const values = [...m.trace].flatMap(({ vcpu, exit }) =>
      vcpu === id && exit.name === 'KVM_EXIT_IO' ? [new DataView(exit.data.buffer).getUint32(0, true)] : [],
    );
    assert.deepEqual(
      values,
      Array.from({ length: 500 }, (_, n) => n + 1),
      `vCPU ${id}`,
    );
  }
});

test('halted is when all are, and stay so', options, async () => {
  await using m = await machine({ vcpus: 2 });
  // vCPU 1 sleeps with its LAPIC enabled and interrupts off, so that what it is sent does not wake it.
  m.vcpu(1).program(flat32(cli, write32(0xfee0_00f0, 0x1ff), write32(FLAG, 1), hlt));
  m.vcpu(0).program(flat32(wait32(FLAG, 1), sendIpi(1, 0x4040), out8(1), cli, hlt));
  const trace = await m.run();
  assert.deepEqual(
    // A kernel that forwards also tells of the ICR writes.
    [...trace].filter(({ exit }) => exit.name !== 'KVM_EXIT_DSM_SEND_IRQ').map(({ vcpu }) => vcpu),
    [0],
  );
});

test('one that spins keeps the others from being done: the deadline tells where each is', options, async () => {
  await using m = await machine({ vcpus: 2 });
  m.vcpu(0).program(flat32(cli, hlt));
  m.vcpu(1).program(flat32(spin));
  const error = await m.run({ deadline: '200ms' }).then(
    () => assert.fail('it resolved'),
    (reason) => reason,
  );
  assert.equal(error.code, 'ERR_DEADLINE');
  assert.match(error.report, /^vCPU 0: mp_state HALTED.*^vCPU 1: mp_state RUNNABLE.*^ {2}> 0x11000 .*eb fe /ms);
});

test('a guest that cannot go on ends the run of all', options, async () => {
  await using m = await machine({ vcpus: 2 });
  m.vcpu(0).program(flat32(spin));
  m.vcpu(1).program(flat32(Uint8Array.of(0x0f, 0x0b)), { idt: false }); // ud2
  await assert.rejects(m.run({ until: { port: 0x10 } }), (error) => {
    assert.ok(error instanceof GuestFailureError);
    assert.match(error.message, /vCPU 1: triple fault/);
    return true;
  });
  assert.equal(m.vcpu(0).vcpu.thread?.state, 'stopped');
});

test('without an in-kernel LAPIC a HLT is an exit, and the end of its vCPU', options, async () => {
  await using m = await machine({ vcpus: 2, irqchip: 'none' });
  for (const id of [0, 1]) m.vcpu(id).program(flat32(out8(1), hlt, out8(2)));
  const trace = await m.run();
  for (const id of [0, 1])
    assert.deepEqual(
      [...trace].filter(({ vcpu }) => vcpu === id).map(({ exit }) => exit.name),
      ['KVM_EXIT_IO', 'KVM_EXIT_HLT'],
    );
});

/** What a script does that forgets an `await`: the end of its block closes the machine. */
test('a run that nobody awaits ends when its machine is closed, and says what is missing', options, async () => {
  for (const vcpus of [1, 2]) {
    const forgotten: Promise<unknown>[] = [];
    {
      await using m = await machine({ vcpus });
      for (let id = 0; id < vcpus; id++) m.vcpu(id).program(flat32(spin));
      forgotten.push(m.run({ until: { port: 0x10 }, deadline: '20s' }));
    }
    await assert.rejects(
      forgotten[0]!,
      (error: ClosedError) =>
        error instanceof ClosedError &&
        /^the machine was closed while its run\(\) was going on/.test(error.message) &&
        /Write `await` before run\(\)/.test(error.advice),
    );
  }
});

test('so does explore()', options, async () => {
  let forgotten: Promise<unknown>;
  {
    await using m = await machine({ vcpus: 2 });
    const step = asm.long64`
      mov eax, 1
      mov eax, 2
      mov eax, 3
      ${done()}`;
    forgotten = m.explore([step, step], () => {});
  }
  await assert.rejects(forgotten, /the machine was closed while its explore\(\) was going on/);
});

test('a run for a vector that nobody sends names the one that was sent', options, async () => {
  await using m = await machine({ vcpus: 2, apic: 'xapic' });
  m.vcpu(0).program(asm.long64`${ipi({ to: 1, vector: 0xf0 })}${done()}`);
  m.vcpu(1).program(asm.long64`${idle()}`);
  await assert.rejects(
    m.run({ until: { handled: 0xf1, vcpu: 1 }, deadline: '300ms' }),
    /^DeadlineError.*nobody is seen to have sent vector 0xf1; vCPU 0 sent vector 0xf0 to APIC id 1/,
  );
});
