/** Deadlines of runs on the threads of JavaScript: who keeps them, and that each is kept. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { RunBudget } from '../../lib/base/budget.ts';
import { hlt, spin } from '../../lib/index.ts';
import { errorOf } from '../support/error-of.ts';
import { countOut, makeGuest } from '../support/guest.ts';
import { withGuest } from '../support/guest32.ts';
import { noKvm } from '../support/host.ts';
import { threadsNamed } from '../support/left-behind.ts';
import { library, workerLoader } from '../support/library.ts';

const options = { skip: noKvm, timeout: 180_000 };
/** The name of the thread that keeps them all. */
const WATCHDOG = 'kvm deadlines';

const TIMERS = '/proc/self/timers';

/** Has each of these vCPUs come to its deadlines. */
function comeToDeadlines(guest: ReturnType<typeof makeGuest>): void {
  for (const [id, vcpu] of guest.vcpus.entries()) {
    guest.program(id, spin);
    for (const deadline of [1, 20, '30ms'] as const)
      assert.deepEqual(vcpu.runRaw(deadline), { kind: 'deadline' }, `vCPU ${id}, ${deadline}`);
  }
}

test('one thread keeps the deadlines of all vCPUs', options, () => {
  using guest = makeGuest(4);
  comeToDeadlines(guest);
  assert.equal(threadsNamed(WATCHDOG).length, 1);
});

const noTimers = noKvm || (existsSync(TIMERS) ? false : `this kernel has no ${TIMERS} (CONFIG_CHECKPOINT_RESTORE)`);

test('a run makes no timer of the process', { ...options, skip: noTimers }, () => {
  using guest = makeGuest(2);
  comeToDeadlines(guest);
  assert.equal(readFileSync(TIMERS, 'ascii'), '');
});

test('a deadline ends its own run alone: the next one has all of its time', options, () => {
  withGuest({ irqchip: 'none' }, (guest) => {
    for (let round = 0; round < 20; round++) {
      guest.load([spin]);
      assert.deepEqual(guest.vcpu.runRaw(1), { kind: 'deadline' });
      assert.equal(guest.vcpu.kvmRun.getUint8(1), 0, 'immediate_exit is taken back');
      guest.load([hlt]);
      assert.deepEqual(guest.vcpu.runRaw('10s'), { kind: 'exit' });
    }
  });
});

test('a deadline that comes while the guest waits in HLT', options, () => {
  withGuest({ irqchip: 'full' }, (guest) => {
    guest.load([hlt]);
    assert.equal(errorOf(() => guest.vcpu.run({ deadline: 5 })).code, 'ERR_DEADLINE');
  });
});

test(
  'runs that begin while the time of their budget is over come to their deadline, however short each is',
  options,
  () => {
    new RunBudget(5).run(() => {
      using guest = makeGuest();
      const vcpu = guest.program(0, countOut(0x42));
      const ends = performance.now() + 20_000;
      for (;;) {
        const outcome = vcpu.runRaw('10s');
        if (outcome.kind === 'deadline') break;
        assert.equal(outcome.kind, 'exit');
        if (performance.now() > ends) assert.fail('the budget ends no run');
      }
      assert.equal(vcpu.runRaw('10s').kind, 'deadline', 'and so for each that follows');
    });
  },
);

const support = new URL('../support/guest.ts', import.meta.url);
const noSupport = noKvm || (existsSync(support) ? false : "a worker imports the tests' sources, which are not here");

test('workers that run guests at the same time, and end meanwhile', { ...options, skip: noSupport }, async () => {
  // How many of its runs come to their deadline.
  const source = `${workerLoader}.then(async () => {
    const { spin } = await import(${JSON.stringify(library)});
    const { makeGuest } = await import(${JSON.stringify(support.href)});
    const { parentPort, workerData } = await import('node:worker_threads');
    const guest = makeGuest();
    const vcpu = guest.program(0, spin);
    let late = 0;
    for (let round = 0; round < 20; round++)
      if (vcpu.runRaw(1 + ((round + workerData) % 7)).kind === 'deadline') late += 1;
    parentPort.postMessage(late);
  });`;
  using guest = makeGuest();
  const vcpu = guest.program(0, spin);
  const workers = Array.from({ length: 2 }, (_, id) => new Worker(source, { eval: true, workerData: id }));
  const ends = workers.map(
    (worker) =>
      new Promise<unknown>((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      }),
  );
  let done = false;
  const all = Promise.all(ends).finally(() => {
    done = true;
  });
  while (!done) {
    assert.deepEqual(vcpu.runRaw(2), { kind: 'deadline' });
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(await all, [20, 20]);
  await Promise.all(workers.map((worker) => worker.terminate()));
  assert.equal(threadsNamed(WATCHDOG).length, 1);
  assert.deepEqual(vcpu.runRaw(2), { kind: 'deadline' });
});
