import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hlt, type Instruction, spin } from '../../lib/index.ts';
import { patient, scaled } from '../support/counts.ts';
import { countOut, makeGuest, random } from '../support/guest.ts';
import { noKvm } from '../support/host.ts';

const KICKS = scaled(200_000);
const RUNS = scaled(2000, 20);
const SEED = 20260605;

/** What a vCPU does while it is kicked: one that never exits, one that sleeps in the kernel, one that exits always. */
const guests: Record<string, Instruction[]> = {
  spins: [spin],
  'is blocked in HLT': [hlt, Uint8Array.of(0xeb, 0xfd)],
  exits: [countOut(0x42)],
};

test(`${KICKS} kicks at random moments, none lost`, { skip: noKvm, timeout: patient(180_000) }, async (t) => {
  const kinds = Object.entries(guests);
  using guest = makeGuest(kinds.length);
  const runs = kinds.map(([, code], id) => {
    const vcpu = guest.program(id, ...code);
    return code === guests.exits
      ? vcpu.start({ record: { exits: ['KVM_EXIT_IO'], onRecords() {} } })
      : vcpu.start({ onExit: (exit) => assert.fail(exit.name) });
  });
  const next = random(SEED);
  let kicks = 0;
  // A kick that is lost leaves its vCPU in the guest for good: its promise does not resolve. One at a time for most;
  // some in a burst, and some while another is on its way.
  await Promise.all(
    runs.map(async (run, id) => {
      while (kicks < KICKS) {
        const burst = next() < 0.9 ? 1 : 1 + Math.floor(next() * 8);
        kicks += burst;
        const all = Array.from({ length: burst }, () => run.kick({ deadline: '20s' }));
        if (next() < 0.01) {
          await run.pause({ deadline: '20s' });
          run.resume();
        }
        for (let busy = Math.floor(next() * 200); busy > 0; busy--) Math.sqrt(busy);
        if (next() < 0.001) await new Promise((resolve) => setImmediate(resolve));
        await Promise.all(all).catch((error) => {
          throw new Error(`kick ${kicks}, seed ${SEED}, the vCPU that ${kinds[id]![0]}`, { cause: error });
        });
      }
    }),
  );
  for (const run of runs) {
    assert.equal(run.state, 'running');
    t.diagnostic(JSON.stringify(run.counters));
    await run.stop();
    await run.ended();
  }
});

test(`a kick does not disturb the next run, ${RUNS} times`, { skip: noKvm, timeout: patient(30_000) }, async () => {
  using guest = makeGuest();
  const vcpu = guest.program(0, countOut(0x42));
  let expected = 0;
  for (let i = 0; i < RUNS; i++) {
    const run = vcpu.start();
    const kicked = run.kick();
    for await (const exit of run) {
      assert.equal(exit.name, 'KVM_EXIT_IO');
      assert.equal(new DataView(exit.data.buffer).getUint32(0, true), ++expected);
      void run.kick();
      break;
    }
    await kicked;
    const exit = vcpu.run();
    assert.equal(exit.name, 'KVM_EXIT_IO');
    assert.equal(new DataView(exit.data.buffer).getUint32(0, true), ++expected);
  }
});
