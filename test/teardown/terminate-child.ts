/**
 * `terminate-child.ts '<work> <rounds>'...`: in each round two workers do the work without an end, and are terminated once
 * they have done a part of it, another one each time. It prints `ok <work> <rounds>` if nothing of them is left. A crash
 * is the parent's to see.
 */
import { isMainThread, workerData } from 'node:worker_threads';
import { EventFd } from '../../lib/index.ts';
import { countOut, makeGuest, random } from '../support/guest.ts';
import { errorOf } from '../support/host.ts';
import { threadsNamed, vcpuMappings } from '../support/left-behind.ts';
import { tsWorker } from '../support/worker.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** How many steps a worker has at least done before it is terminated, and how many more it may have. */
const LEAST = 5;
const MORE = 100;

/** Each does its work for ever and calls `step` as it goes. */
const works: Record<string, (step: () => void) => Promise<void>> = {
  async records(step) {
    const vcpu = makeGuest().program(0, countOut(0x42));
    const run = vcpu.start({ record: { exits: ['KVM_EXIT_IO'], capacity: 16, onRecords: step } });
    await run.ended();
  },
  async exits(step) {
    const run = makeGuest().program(0, countOut(0x42)).start({ onExit: step });
    await run.ended();
  },
  async news(step) {
    const run = makeGuest()
      .program(0, countOut(0x42))
      .start({ record: { exits: ['KVM_EXIT_IO'], onRecords() {} } });
    for (;;) {
      await run.kick();
      await run.pause();
      run.resume();
      step();
    }
  },
  async runs(step) {
    const vcpu = makeGuest().program(0, countOut(0x42));
    for (;;) {
      vcpu.run();
      vcpu.getRegs();
      step();
    }
  },
  async refusals(step) {
    const { vm } = makeGuest();
    for (;;) {
      errorOf(() => vm.createVcpu(0));
      step();
    }
  },
  async guests(step) {
    for (;;) {
      using guest = makeGuest();
      guest.program(0, countOut(0x42)).run();
      step();
    }
  },
  async eventfds(step) {
    for (;;) {
      using event = EventFd.create();
      const written = event.wait(60_000);
      event.write();
      await written;
      step();
    }
  },
};

interface Order {
  work: string;
  /** One 32-bit number: the worker's steps. */
  steps: SharedArrayBuffer;
}

/** Starts a worker and terminates it once it has done so many steps. */
async function oneWorker(work: string, enough: number): Promise<void> {
  const steps = new SharedArrayBuffer(4);
  const worker = tsWorker(import.meta.url, { work, steps } satisfies Order);
  const failed = new Promise((_, reject) => worker.once('error', reject));
  const done = async () => {
    while (Atomics.load(new Int32Array(steps), 0) < enough) await turn();
  };
  await Promise.race([done(), failed]);
  await worker.terminate();
}

if (isMainThread) {
  for (const order of process.argv.slice(2)) {
    const [work, rounds] = order.split(' ') as [string, string];
    const next = random(1);
    for (let round = 0; round < Number(rounds); round++) {
      const enough = () => LEAST + Math.floor(next() * MORE);
      await Promise.all([oneWorker(work, enough()), oneWorker(work, enough())]);
      if (threadsNamed('vcpu 0').length > 0) throw new Error('a thread is left');
      if (vcpuMappings() > 0) throw new Error('a mapping is left');
    }
    console.log(`ok ${order}`);
  }
} else {
  const { work, steps } = workerData as Order;
  const count = new Int32Array(steps);
  await works[work]!(() => void Atomics.add(count, 0, 1));
}
