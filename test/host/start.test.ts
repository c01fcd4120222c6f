import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeadlineError, type Exit, hlt, out8, out8Value, spin, type VcpuRun } from '../../lib/index.ts';
import { scaled } from '../support/counts.ts';
import { countOut, countOutTimes, makeGuest } from '../support/guest.ts';
import { errorOf, noKvm } from '../support/host.ts';

const options = { skip: noKvm, timeout: 30_000 };
const PORT = 0x42;

function portOf(exit: Exit): number {
  assert.equal(exit.name, 'KVM_EXIT_IO');
  return exit.port;
}

async function rejection(promise: Promise<unknown>): Promise<{ code?: string; message: string }> {
  return promise.then(
    () => assert.fail('it resolved'),
    (error) => error,
  );
}

/** Lets everything that is on its way come: two turns of the event loop. */
const settle = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));

test('the exits come by the iterator, in order, and leaving it stops the vCPU', options, async () => {
  using guest = makeGuest();
  const vcpu = guest.program(0, out8(1), out8(2), out8(3), spin);
  const ports: number[] = [];
  const run = vcpu.start();
  for await (const exit of run) {
    assert.equal(run.state, 'parked');
    assert.equal(run.seq, ports.length);
    ports.push(portOf(exit));
    assert.ok(vcpu.getRegs().rip > 0n, 'the registers are there while the exit is dealt with');
    if (ports.length === 3) break;
  }
  assert.deepEqual(ports, [1, 2, 3]);
  assert.equal(run.state, 'stopped');
  await run.ended();
});

test('the vCPU waits for the promise of onExit: backpressure', options, async () => {
  using guest = makeGuest();
  const vcpu = guest.program(0, countOut(PORT));
  let release = () => {};
  let calls = 0;
  const run = vcpu.start({
    onExit() {
      calls += 1;
      return new Promise((resolve) => {
        release = resolve;
      });
    },
  });
  for (let turn = 1; turn <= 5; turn++) {
    while (calls < turn) await settle();
    await settle();
    assert.equal(calls, turn);
    assert.equal(run.counters.exits, turn, 'the guest did not go on by itself');
    assert.equal(run.state, 'parked');
    release();
  }
  await run.stop();
});

test('an `in` is answered in kvm_run before the vCPU goes on', options, async () => {
  using guest = makeGuest();
  const vcpu = guest.program(0, Uint8Array.of(0xe4, 0x71), out8(PORT), spin); // in al, 0x71
  for await (const exit of vcpu.start()) {
    assert.equal(exit.name, 'KVM_EXIT_IO');
    if (exit.direction === 'in') vcpu.kvmRun.setUint8(Number(exit.dataOffset), 0x5a);
    else {
      assert.equal(exit.data[0], 0x5a);
      break;
    }
  }
});

test('pause takes it out of the guest, resume lets it go on', options, async () => {
  using guest = makeGuest();
  const vcpu = guest.program(0, Uint8Array.of(0x40, 0xeb, 0xfd)); // inc eax; jmp
  const run = vcpu.start();
  assert.equal(run.state, 'running');
  assert.equal(errorOf(() => vcpu.getRegs()).code, 'ERR_VCPU_BUSY');
  assert.match(errorOf(() => vcpu.getRegs()).message, /vCPU 0/);
  assert.equal(errorOf(() => vcpu.run()).code, 'ERR_VCPU_BUSY');
  assert.equal(errorOf(() => vcpu.start()).code, 'ERR_VCPU_BUSY');
  await run.pause();
  assert.equal(run.state, 'paused');
  vcpu.setRegs({ rcx: 0x1234n });
  const { rip } = vcpu.getRegs();
  await settle();
  assert.equal(vcpu.getRegs().rip, rip, 'it stays out');
  assert.equal(errorOf(() => vcpu.run()).code, 'ERR_VCPU_BUSY', 'the thread is still its own');
  await run.kick();
  assert.equal(run.state, 'paused', 'a kick is not a resume');
  run.resume();
  assert.equal(run.state, 'running');
  await run.kick();
  await run.stop();
  assert.equal(vcpu.getRegs().rcx, 0x1234n);
});

test('a pause in onExit holds after it', options, async () => {
  using guest = makeGuest();
  const vcpu = guest.program(0, out8(1), out8(2), spin);
  const ports: number[] = [];
  let run: VcpuRun | undefined;
  const paused = new Promise<void>((resolve) => {
    run = vcpu.start({
      async onExit(exit, self) {
        ports.push(portOf(exit));
        if (ports.length > 1) return;
        await self.pause();
        resolve();
      },
    });
  });
  await paused;
  await settle();
  assert.equal(run!.state, 'paused');
  assert.deepEqual(ports, [1]);
  run!.resume();
  while (ports.length < 2) await settle();
  await run!.stop();
  assert.deepEqual(ports, [1, 2]);
});

for (const [what, code] of [
  ['spins', spin],
  ['is blocked in HLT', hlt],
] as const) {
  test(`kick, pause and stop reach a guest that ${what}`, options, async () => {
    using guest = makeGuest();
    const vcpu = guest.program(0, code, ...(code === hlt ? [spin] : []));
    const run = vcpu.start();
    for (let i = 0; i < 100; i++) await run.kick();
    await run.pause();
    run.resume();
    await run.kick();
    assert.equal(run.state, 'running');
    await run.stop();
    await run.stop();
    await run.kick();
    await run.ended();
    assert.equal(run.state, 'stopped');
    assert.equal(vcpu.kvmRun.getUint8(1), 0, 'immediate_exit is taken back');
    assert.equal(errorOf(() => vcpu.run({ deadline: '20ms' })).code, 'ERR_DEADLINE', 'and it runs as before');
  });
}

test('a stopped vCPU is started again from where it is', options, async () => {
  using guest = makeGuest();
  const vcpu = guest.program(0, countOut(PORT));
  const values: number[] = [];
  for (let i = 0; i < 20; i++) {
    for await (const exit of vcpu.start()) {
      assert.equal(exit.name, 'KVM_EXIT_IO');
      values.push(exit.data[0]!);
      if (values.length % 3 === 0) break;
    }
    if (i % 2 === 0) {
      const exit = vcpu.run();
      assert.equal(exit.name, 'KVM_EXIT_IO');
      values.push(exit.data[0]!);
      while (values.length % 3 !== 0) values.push((vcpu.run() as { data?: Uint8Array }).data![0]!);
    }
  }
  assert.deepEqual(
    values,
    Array.from(values, (_, i) => i + 1),
  );
});

const STOPS = scaled(200, 30);

test(`${STOPS} exits that meet stop() are handed over, not lost`, options, async () => {
  using guest = makeGuest();
  const vcpu = guest.program(0, countOut(PORT));
  const values: number[] = [];
  for (let i = 0; i < STOPS; i++) {
    const run = vcpu.start({
      onExit(exit) {
        assert.equal(exit.name, 'KVM_EXIT_IO');
        values.push(new DataView(exit.data.buffer).getUint32(0, true));
        assert.equal(Number(vcpu.getRegs().rax), values.length);
      },
    });
    if (i % 3 === 0) await settle();
    await run.stop();
    await run.ended();
  }
  assert.deepEqual(
    values,
    Array.from(values, (_, i) => i + 1),
  );
});

test('an exit that nobody takes stays in kvm_run', options, async () => {
  using guest = makeGuest();
  const vcpu = guest.program(0, out8Value(PORT, 0x5a), spin);
  const run = vcpu.start();
  while (run.counters.exits === 0) await settle();
  await run.stop();
  await run.ended();
  const exit = vcpu.exit();
  assert.equal(exit.name, 'KVM_EXIT_IO');
  assert.equal(exit.data[0], 0x5a);
});

test('a loop that is left after the end, with an exit that it did not take, keeps no run open', options, async () => {
  using guest = makeGuest();
  const run = guest.program(0, out8(7), spin).start();
  const loop = run[Symbol.asyncIterator]();
  const ends = performance.now() + 20_000;
  while (run.counters.exits === 0 && performance.now() < ends) await settle();
  await run.stop();
  await loop.return!();
  await run.ended();
});

test('an exception in onExit stops the vCPU and comes out of ended()', options, async () => {
  for (const onExit of [
    () => {
      throw new Error('sync');
    },
    async () => {
      throw new Error('async');
    },
  ]) {
    using guest = makeGuest();
    const vcpu = guest.program(0, out8(1), spin);
    const run = vcpu.start({ onExit });
    assert.match((await rejection(run.ended())).message, /sync/);
    assert.equal(run.state, 'failed');
    await run.stop();
    assert.equal(vcpu.getRegs().rip > 0n, true);
  }
});

test('an exit that does not come by the deadline of the iterator', options, async () => {
  using guest = makeGuest();
  const vcpu = guest.program(0, out8(1), spin);
  const run = vcpu.start({ deadline: '200ms' });
  const ports: number[] = [];
  const error = await rejection(
    (async () => {
      for await (const exit of run) ports.push(portOf(exit));
    })(),
  );
  assert.ok(error instanceof DeadlineError);
  assert.match(error.message, /vCPU 0/);
  assert.match(error.report, /rip 0x1000\d/);
  assert.deepEqual(ports, [1]);
  assert.equal(run.state, 'failed');
});

test('what stop, kick, pause and start refuse', options, async () => {
  using guest = makeGuest();
  const vcpu = guest.program(0, spin);
  for (const deadline of [0, 'soon']) {
    assert.equal(errorOf(() => vcpu.start({ deadline: deadline as number })).code, 'ERR_ARGUMENT');
    assert.equal(vcpu.thread, null);
  }
  const run = vcpu.start({ onExit() {} });
  assert.equal(errorOf(() => run.kick({ deadline: -1 })).code, 'ERR_ARGUMENT');
  assert.equal(errorOf(() => run.pause({ deadline: -1 })).code, 'ERR_ARGUMENT');
  assert.equal(errorOf(() => run.stop({ deadline: -1 })).code, 'ERR_ARGUMENT');
  assert.equal(errorOf(() => run[Symbol.asyncIterator]()).code, 'ERR_ARGUMENT');
  assert.equal((await rejection(run.ended({ deadline: '20ms' }))).code, 'ERR_DEADLINE');
  assert.equal(run.state, 'running');
  await run.stop();
  vcpu.close();
  assert.equal(errorOf(() => vcpu.start()).code, 'ERR_CLOSED');
});

test('a KVM_RUN that fails comes out as its errno', options, async () => {
  using guest = makeGuest(2);
  const [first, second] = [guest.program(0, spin), guest.vcpus[1]!];
  second.close();
  const run = first.start();
  await run.pause();
  // kvm_dirty_regs with a bit that no kernel knows: EINVAL. Linux 6.12 looks at its low half only.
  first.kvmRun.setBigUint64(296, 1n << 31n, true);
  run.resume();
  const error = (await rejection(run.ended())) as { code?: string; ioctl?: string; errnoName?: string };
  assert.deepEqual([error.code, error.ioctl, error.errnoName], ['ERR_IOCTL', 'KVM_RUN', 'EINVAL']);
  assert.equal(run.state, 'failed');
});

test('closing ends what waits', options, async () => {
  using guest = makeGuest();
  const vcpu = guest.program(0, spin);
  const run = vcpu.start();
  const next = run[Symbol.asyncIterator]().next();
  const kicked = run.kick();
  vcpu.close();
  assert.deepEqual(await next, { done: true, value: undefined });
  await Promise.all([kicked, run.ended(), run.stop(), run.pause(), run.kick()]);
  assert.equal(run.state, 'stopped');
  assert.equal(errorOf(() => vcpu.getRegs()).code, 'ERR_CLOSED');
});

test('closing from inside onExit', options, async () => {
  using guest = makeGuest();
  const vcpu = guest.program(0, countOutTimes(PORT, 5), spin);
  let calls = 0;
  const run = vcpu.start({
    onExit() {
      calls += 1;
      if (calls === 3) guest.vm.close();
    },
  });
  await run.ended();
  assert.equal(calls, 3);
});
