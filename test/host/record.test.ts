import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Exit, out8, out8Value, type RecordBatch, type RecordedExit, spin, write32 } from '../../lib/index.ts';
import { patient, scaled } from '../support/counts.ts';
import { countOut, countOutTimes, makeGuest } from '../support/guest.ts';
import { errorOf, noKvm } from '../support/host.ts';

const options = { skip: noKvm, timeout: patient(60_000) };
const PORT = 0x42;
const DONE = 0x10;

const [VCPUS, COUNT] = [4, scaled(250_000, 2000)];

test(`${(VCPUS * COUNT).toLocaleString('en')} recorded exits of ${VCPUS} vCPUs: none lost, none twice, in order`, {
  skip: noKvm,
  timeout: patient(180_000),
}, async (t) => {
  using guest = makeGuest(VCPUS);
  const runs = guest.vcpus.map((vcpu) => {
    guest.program(vcpu.vcpuId, countOutTimes(PORT, COUNT), Uint8Array.of(0xe4, DONE)); // in al, DONE
    let seen = 0;
    let rip: bigint | null | undefined;
    const run = vcpu.start({
      record: {
        exits: ['KVM_EXIT_IO'],
        capacity: 1024,
        unionBytes: 16,
        ioBytes: 4,
        onRecords(batch) {
          for (let i = 0; i < batch.length; i++) {
            const data = batch.data(i);
            const value = new DataView(data.buffer, data.byteOffset, data.length).getUint32(0, true);
            if (batch.seq(i) !== seen || value !== seen + 1) assert.fail(`${value}, seq ${batch.seq(i)}, not ${seen}`);
            rip ??= batch.rip(i);
            if (batch.rip(i) !== rip) assert.fail(`rip ${batch.rip(i)}`);
            seen += 1;
          }
        },
      },
      onExit(exit, self) {
        assert.equal(exit.name, 'KVM_EXIT_IO');
        assert.equal(exit.port, DONE);
        assert.equal(seen, COUNT, 'the records come before the exit that followed them');
        self.askToStop();
      },
    });
    return { run, seen: () => seen };
  });
  await Promise.all(runs.map(({ run }) => run.ended({ deadline: patient(120_000) })));
  for (const { run, seen } of runs) {
    const { exits, recorded, entries, ringStops } = run.counters;
    assert.deepEqual([seen(), recorded, exits], [COUNT, COUNT, COUNT + 1]);
    t.diagnostic(`vCPU ${run.vcpu.vcpuId}: ${entries} entries, ${ringStops} stops by a full ring`);
  }
});

test('a full ring stops the vCPU; it drops nothing', options, async () => {
  using guest = makeGuest();
  const vcpu = guest.program(0, countOutTimes(PORT, 100), out8(DONE), spin);
  const values: number[] = [];
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const run = vcpu.start({
    record: {
      exits: [2],
      capacity: 4,
      async onRecords(batch) {
        await gate;
        for (const { exit } of batch) if (exit.name === 'KVM_EXIT_IO' && exit.port === PORT) values.push(exit.data[0]!);
      },
    },
  });
  while (run.counters.ringStops === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(run.counters.recorded, 4);
  assert.equal(run.counters.exits, 5, 'the fifth is held, and the guest waits behind it');
  release();
  while (values.length < 100) await new Promise((resolve) => setImmediate(resolve));
  await run.stop();
  await run.ended();
  assert.deepEqual(
    values,
    Array.from(values, (_, i) => i + 1),
  );
  assert.ok(run.counters.ringStops > 1);
});

test('a few records come without waiting for more', options, async () => {
  using guest = makeGuest();
  const vcpu = guest.program(0, out8Value(PORT, 7), spin);
  const records: RecordedExit[] = [];
  const before = Number(process.hrtime.bigint());
  const run = vcpu.start({ record: { exits: ['KVM_EXIT_IO'], onRecords: (batch) => void records.push(...batch) } });
  while (records.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const { seq, ns, rip, exit } = records[0]!;
  assert.equal(seq, 0);
  assert.ok(ns >= before && ns <= Number(process.hrtime.bigint()));
  const port = { name: 'KVM_EXIT_IO', reason: 2, direction: 'out', size: 1, port: PORT, count: 1 };
  assert.deepEqual(exit, { ...port, dataOffset: 4096n, data: Uint8Array.of(7) });
  if (guest.vm.checkExtension('KVM_CAP_SYNC_REGS') & 1) assert.ok(rip! > 0x10000n && rip! < 0x10010n);
  else assert.equal(rip, null);
  assert.equal(run.state, 'running');
  await run.stop();
});

test('what is not chosen, and what waits for an answer, parks as ever', options, async () => {
  using guest = makeGuest();
  const vcpu = guest.program(
    0,
    out8Value(PORT, 1),
    write32(0xd000_0000, 0x1234), // MMIO: not chosen
    out8Value(PORT, 2),
    Uint8Array.of(0xe4, 0x71), // in al, 0x71: chosen, but it is for user space to answer
    out8(PORT),
    spin,
  );
  const log: string[] = [];
  const run = vcpu.start({
    record: {
      exits: ['KVM_EXIT_IO'],
      onRecords(batch) {
        for (const { seq, exit } of batch) log.push(`${seq} ${exit.name === 'KVM_EXIT_IO' && exit.data[0]}`);
      },
    },
    onExit(exit, self) {
      log.push(`${self.seq} ${exit.name}`);
      if (exit.name === 'KVM_EXIT_IO') vcpu.kvmRun.setUint8(Number(exit.dataOffset), 0x5a);
    },
  });
  while (log.length < 5) await new Promise((resolve) => setTimeout(resolve, 1));
  await run.stop();
  assert.deepEqual(log, ['0 1', '1 KVM_EXIT_MMIO', '2 2', '3 KVM_EXIT_IO', '4 90']);
});

const STOPS = scaled(50, 8);

test(`stop() hands over the last records, and the exit that found no room, ${STOPS} times`, options, async () => {
  for (const capacity of [2, 4096]) {
    using guest = makeGuest();
    const vcpu = guest.program(0, countOut(PORT));
    let seen = 0;
    let exits = 0;
    const check = (exit: Exit) => {
      assert.equal(exit.name, 'KVM_EXIT_IO');
      assert.equal(new DataView(exit.data.buffer).getUint32(0, true), ++seen);
    };
    for (let i = 0; i < STOPS; i++) {
      const onRecords = (batch: RecordBatch) => {
        for (const { exit } of batch) check(exit);
      };
      const run = vcpu.start({ record: { exits: ['KVM_EXIT_IO'], capacity, onRecords }, onExit: check });
      for (let turn = 0; turn < i % 4; turn++) await new Promise((resolve) => setImmediate(resolve));
      await run.stop();
      await run.ended();
      exits += run.counters.exits;
    }
    assert.equal(seen, exits);
  }
});

test('an exception in onRecords ends the run', options, async () => {
  using guest = makeGuest();
  const vcpu = guest.program(0, countOut(PORT));
  const run = vcpu.start({
    record: {
      exits: ['KVM_EXIT_IO'],
      onRecords() {
        throw new Error('no more');
      },
    },
  });
  await assert.rejects(run.ended(), /no more/);
  assert.equal(run.state, 'failed');
});

test('what record refuses', { skip: noKvm }, () => {
  using guest = makeGuest();
  const vcpu = guest.program(0, spin);
  const onRecords = () => {};
  for (const record of [
    { exits: ['KVM_EXIT_SHUTDOWN' as const] },
    { exits: ['KVM_EXIT_X86_RDMSR' as const] },
    { exits: ['unrecognized' as const] },
    { exits: [256] },
    { exits: [-1] },
    { exits: [2], capacity: 1000 },
    { exits: [2], capacity: 1 },
    { exits: [2], unionBytes: 8 },
    { exits: [2], unionBytes: 257 },
    { exits: [2], ioBytes: 4097 },
  ])
    assert.equal(errorOf(() => vcpu.start({ record: { ...record, onRecords } })).code, 'ERR_ARGUMENT');
  assert.equal(vcpu.thread, null);
});
