/** The objects beside VM and vCPU: no file descriptor is left behind, and no environment's end is held up by one. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { EventFd, out8, restoreMachineState, saveMachineState } from '../../lib/index.ts';
import { scaled } from '../support/counts.ts';
import { DONE, withGuest } from '../support/guest32.ts';
import { noKvm } from '../support/host.ts';
import { library, loaderArgs, workerLoader } from '../support/library.ts';

/** What a file descriptor of this process leads to; nothing if it is closed meanwhile. */
function leadsTo(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}

/** Those of KVM and of the kernel's objects without a name: node opens and closes files of its own as it likes. */
const openFds = () => readdirSync('/proc/self/fd').filter((fd) => /^anon_inode:|\/kvm$/.test(leadsTo(fd))).length;

function cycle(): void {
  withGuest({}, (g) => {
    const [irq, resample, io] = [EventFd.create(), EventFd.create(), EventFd.create()];
    g.vm.assignIrqfd(irq, 20, { resample });
    g.vm.assignIoeventfd(io, { address: 0x60, pio: true, length: 1 });
    g.load([out8(0x60), out8(DONE)]);
    g.run();
    g.vm.stats();
    g.vcpu.stats();
    if (g.vm.hasDeviceType(4)) g.vm.createDevice(4).close();
    saveMachineState(g.kvm, g.vm);
    for (const event of [irq, resample, io]) event.close();
  });
}

const VMS = scaled(100, 10);

test(`${VMS} VMs with events, devices, statistics and saves leave no file descriptor`, { skip: noKvm }, async () => {
  // The waits' own thread and its descriptor come once.
  using first = EventFd.create();
  first.write();
  await first.wait('5s');
  cycle();
  const before = openFds();
  for (let turn = 0; turn < VMS; turn++) cycle();
  assert.equal(openFds(), before);
});

test('events that were assigned and deassigned are let go of', { skip: noKvm }, () => {
  withGuest({}, ({ vm }) => {
    const before = openFds();
    for (let turn = 0; turn < 50; turn++) {
      const [event, resample] = [EventFd.create(), EventFd.create()];
      vm.assignIrqfd(event, 20, { resample });
      vm.assignIoeventfd(event, { address: 0x1000_0000, length: 4, datamatch: turn });
      vm.deassignIrqfd(event, 20);
      vm.deassignIoeventfd(event, { address: 0x1000_0000, length: 4, datamatch: turn });
      event.close();
      resample.close();
    }
    assert.equal(openFds(), before);
  });
});

test('a restore that the kernel refuses leaves nothing but its VM', { skip: noKvm }, () => {
  const state = withGuest({}, (g) => saveMachineState(g.kvm, g.vm));
  const before = openFds();
  for (let turn = 0; turn < 20; turn++)
    withGuest({}, ({ vm }) => {
      assert.throws(() => restoreMachineState(vm, state));
    });
  assert.equal(openFds(), before);
});

/** How a process ends that has a wait under way, or objects that nobody closed. Each by a deadline. */
const endings: [what: string, code: string, status: number][] = [
  ['process.exit in a wait', `void EventFd.create().wait('60s'); setImmediate(() => process.exit(7));`, 7],
  [
    'an uncaught throw in a wait',
    `void EventFd.create().wait('60s'); setImmediate(() => { throw new Error('x'); });`,
    1,
  ],
  [
    'a worker that is terminated in a wait',
    `const { Worker } = await import('node:worker_threads');
     const worker = new Worker(\`${workerLoader}.then(() => import(\${JSON.stringify(library)})).then(({ EventFd }) => {
       void EventFd.create().wait('60s'); return import('node:worker_threads'); })
       .then(({ parentPort }) => parentPort.postMessage('waits'));\`, { eval: true });
     await new Promise((resolve) => worker.once('message', resolve));
     await worker.terminate(); console.log('ended');`,
    0,
  ],
  [
    'objects that nobody closed, collected',
    `const kvm = Kvm.open();
     for (let turn = 0; turn < 20; turn++) {
       const vm = kvm.createVm(); vm.createIrqchip();
       const event = EventFd.create(); vm.assignIrqfd(event, 4); event.write();
       if (vm.hasDeviceType(4)) vm.createDevice(4);
     }
     for (let turn = 0; turn < 5; turn++) { globalThis.gc(); await new Promise(setImmediate); }
     console.log('ended');`,
    0,
  ],
];

for (const [what, code, status] of endings)
  test(`${what} ends the process`, { skip: noKvm }, () => {
    const program = `const library = ${JSON.stringify(library)};
      const { EventFd, Kvm } = await import(library); ${code}`;
    const ended = spawnSync(process.execPath, ['--expose-gc', ...loaderArgs, '--input-type=module', '-e', program], {
      timeout: 60_000,
      encoding: 'utf8',
    });
    assert.equal(ended.signal, null, `${ended.signal}: ${ended.stderr}`);
    assert.equal(ended.status, status, ended.stderr);
    if (status === 0) assert.match(ended.stdout, /ended/);
  });
