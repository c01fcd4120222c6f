/**
 * One case of the teardown matrix, in a process of its own: `matrix-child.ts <state> <end>`. It brings a vCPU into the state,
 * comes to the end, and prints `ok` if all is as it should be then. A crash, a hang or another exit code is the
 * parent's to see.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread, parentPort, type Worker, workerData } from 'node:worker_threads';
import { hlt, spin } from '../../lib/index.ts';
import { countOut, type Guest, makeGuest } from '../support/guest.ts';
import { threadsNamed, vcpuMappings } from '../support/left-behind.ts';
import { tsWorker } from '../support/worker.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

const vcpuThreads = () => threadsNamed('vcpu 0').length;

/** One of its own for each: a promise that is known elsewhere would hold whoever waits for it. */
const never = () => new Promise<void>(() => {});

/** Each brings a guest into its state. */
const states: Record<string, () => Promise<Guest>> = {
  async idle() {
    const guest = makeGuest();
    guest.program(0, countOut(0x42)).run();
    return guest;
  },
  async running() {
    const guest = makeGuest();
    await guest.program(0, spin).start().kick();
    return guest;
  },
  async hlt() {
    const guest = makeGuest();
    await guest.program(0, hlt).start().kick();
    return guest;
  },
  async handler() {
    const guest = makeGuest();
    const vcpu = guest.program(0, countOut(0x42));
    await new Promise<void>((resolve) => {
      vcpu.start({
        onExit() {
          resolve();
          return never();
        },
      });
    });
    return guest;
  },
  async paused() {
    const guest = makeGuest();
    await guest.program(0, spin).start().pause();
    return guest;
  },
  async recording() {
    const guest = makeGuest();
    const record = { exits: [2], capacity: 16, onRecords: never };
    const run = guest.program(0, countOut(0x42)).start({ record });
    while (run.counters.ringStops === 0) await turn();
    return guest;
  },
};

/** In the guest a vCPU is held by its thread; everywhere else it is garbage once nobody knows it. */
const inGuest = ['running', 'hlt'];

const ends: Record<string, (state: string) => Promise<void>> = {
  async close(state) {
    const guest = await states[state]!();
    guest.vm.close();
    check(vcpuThreads() === 0, 'no thread is left');
    guest.kvm.close();
    guest.memory.close();
    console.log('ok');
  },
  async exit(state) {
    await states[state]!();
    console.log('ok');
    process.exit(7);
  },
  async throw(state) {
    await states[state]!();
    console.log('ok');
    setImmediate(() => {
      throw new Error('on purpose');
    });
  },
  async terminate(state) {
    const workers = await Promise.all([0, 1, 2].map(() => startWorker(state)));
    check(vcpuThreads() === (state === 'idle' ? 0 : 3), 'each worker has its vCPU');
    await Promise.all(workers.map((worker) => worker.terminate()));
    check(vcpuThreads() === 0, 'no thread is left');
    check(vcpuMappings() === 0, 'no mapping is left');
    // This environment is none of theirs: its own vCPUs run as before.
    using guest = makeGuest();
    check(guest.program(0, countOut(0x42)).run().name === 'KVM_EXIT_IO', 'the main thread still runs guests');
    console.log('ok');
  },
  async nothing(state) {
    const guest = await states[state]!();
    // A vCPU in the guest keeps the process alive, until this; one that waits does not.
    if (inGuest.includes(state)) setTimeout(() => end(), 100).unref();
    else process.once('exit', () => console.log('ok'));
    const end = () => {
      check(guest.vcpus[0]!.thread!.state === 'running', 'it still runs');
      console.log('ok');
      process.exit(0);
    };
  },
  async gc(state) {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    await states[state]!();
    for (let i = 0; i < 10; i++) {
      collect();
      await turn();
    }
    if (inGuest.includes(state)) {
      check(vcpuThreads() === 1, 'a vCPU in the guest is not garbage');
      console.log('ok');
      process.exit(0);
    }
    while (vcpuThreads() + vcpuMappings() > 0) {
      collect();
      await turn();
    }
    console.log('ok');
  },
};

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`not so: ${what}`);
}

function startWorker(state: string): Promise<Worker> {
  return new Promise((resolve, reject) => {
    const worker = tsWorker(import.meta.url, { state });
    worker.once('message', () => resolve(worker));
    worker.once('error', reject);
  });
}

if (isMainThread) {
  const [state, end] = process.argv.slice(2) as [string, string];
  await ends[end]!(state);
} else {
  // Something has to keep a worker alive whose vCPU does not: the parent's port does.
  parentPort!.on('message', () => {});
  const kept = await states[(workerData as { state: string }).state]!();
  parentPort!.postMessage(kept.vcpus.length);
}
