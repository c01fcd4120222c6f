/** `limits-child.ts <case>`: a process at one of its limits. It prints `ok` if it lives on as it should. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import {
  DeadlineError,
  EventFd,
  GuestMemory,
  ioctls,
  Kvm,
  type KvmDsmError,
  type LimitError,
  spin,
} from '../../lib/index.ts';
import { scaled } from '../support/counts.ts';
// Not support/host.ts, which runs a guest when it is loaded: that would start the thread that keeps the time.
import { errorOf } from '../support/error-of.ts';
import { countOut, makeGuest } from '../support/guest.ts';
import { threads } from '../support/left-behind.ts';
import { Limits } from '../support/limits.ts';

const MIB = 2 ** 20;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Which file descriptors are open. /proc/self/fd is closed to a process that has changed its user. */
function openFiles(): number[] {
  return Array.from({ length: 1024 }, (_, fd) => fd).filter((fd) => {
    try {
      fstatSync(fd);
      return true;
    } catch {
      return false;
    }
  });
}

function limitOf(action: () => unknown): string {
  const { code, limit, ioctl, errnoName, advice } = errorOf(action) as LimitError;
  assert.match(advice, /ulimit/);
  return `${code} ${limit} ${ioctl} ${errnoName}`;
}

/** Bytes of the address space that are taken. */
function addressSpace(): number {
  return Number(readFileSync('/proc/self/statm', 'ascii').split(' ')[0]) * 4096;
}

/** No user but root is bound by RLIMIT_NPROC. */
function becomeNobody(): void {
  if (process.getuid?.() !== 0) return;
  process.setgid?.(65534);
  process.setuid?.(65534);
}

/** What refused to be made. */
async function makeOneOfEach(): Promise<LimitError | null> {
  const made: Disposable[] = [];
  const make = <T extends Disposable>(one: T) => {
    made.push(one);
    return one;
  };
  try {
    const vm = make(make(Kvm.open()).createVm());
    make(vm.createVcpu(0)).stats();
    // KVM_DEV_TYPE_VFIO
    if (vm.hasDeviceType(4)) make(vm.createDevice('vfio'));
    const event = make(EventFd.create());
    await event.wait(1);
  } catch (error) {
    return error instanceof DeadlineError ? null : (error as LimitError);
  } finally {
    for (const one of made.reverse()) one[Symbol.dispose]();
  }
  return null;
}

async function senders(count: number): Promise<ChildProcess[]> {
  let got = 0;
  process.on('SIGUSR2', () => {
    got += 1;
  });
  const script = `while kill -USR2 ${process.pid}; do :; done`;
  const all = Array.from({ length: count }, () => spawn('sh', ['-c', script], { stdio: 'ignore' }));
  // So many signals crowd out SIGCHLD: nobody is to wait for the end of these.
  for (const one of all) one.unref();
  while (got < count) await turn();
  return all;
}

const cases: Record<string, () => Promise<void> | void> = {
  /** Started with no room for a real-time signal. */
  async sigpending() {
    using guest = makeGuest();
    const vcpu = guest.program(0, countOut(0x42));
    for (let i = 0; i < 3; i++) {
      assert.equal(vcpu.run().name, 'KVM_EXIT_IO');
      assert.equal(vcpu.settle(), false);
    }
    guest.program(0, spin);
    for (let i = 0; i < 3; i++) assert.equal(errorOf(() => vcpu.run({ deadline: 10 })).code, 'ERR_DEADLINE');
    const run = vcpu.start();
    for (let i = 0; i < 10; i++) {
      await run.kick();
      await run.pause();
      run.resume();
    }
    await run.stop();
    const closed = vcpu.start();
    vcpu.close();
    await closed.ended();
  },

  /** The same while the program listens to the stand-in, and when it does so no longer. */
  async listener() {
    using guest = makeGuest();
    const vcpu = guest.program(0, spin);
    const listener = () => {};
    process.on('SIGURG', listener);
    const run = vcpu.start();
    await run.kick();
    process.off('SIGURG', listener);
    await run.kick();
    await run.stop();
    assert.equal(errorOf(() => vcpu.run({ deadline: 10 })).code, 'ERR_DEADLINE');
  },

  /** The first run of the process finds no thread that could keep its deadline. */
  deadline() {
    using guest = makeGuest();
    const vcpu = guest.program(0, countOut(0x42));
    becomeNobody();
    using limits = new Limits();
    limits.set('nproc', 1);
    assert.equal(
      limitOf(() => vcpu.run()),
      'ERR_LIMIT RLIMIT_NPROC pthread_create EAGAIN',
    );
    assert.equal(vcpu.settle(), false);
    limits.set('nproc', null);
    assert.equal(vcpu.run().name, 'KVM_EXIT_IO');
  },

  async nproc() {
    using guest = makeGuest();
    const vcpu = guest.program(0, spin);
    becomeNobody();
    using limits = new Limits();
    using event = EventFd.create();
    limits.set('nproc', 1);
    const before = [openFiles().length, threads().length];
    const waiting = await event.wait('1s').catch((error: LimitError) => `${error.code} ${error.limit} ${error.ioctl}`);
    assert.equal(waiting, 'ERR_LIMIT RLIMIT_NPROC pthread_create');
    assert.equal(
      limitOf(() => vcpu.start()),
      'ERR_LIMIT RLIMIT_NPROC pthread_create EAGAIN',
    );
    assert.deepEqual([openFiles().length, threads().length], before);
    limits.set('nproc', null);
    const run = vcpu.start();
    event.write();
    assert.equal(await event.wait('5s'), 1n);
    await run.stop();
  },

  /** Room for no file more, for one, for two, ... of those that a machine needs. */
  async nofile() {
    using limits = new Limits();
    // Loads the addon.
    EventFd.create().close();
    const highest = openFiles().at(-1)!;
    const fill: number[] = [];
    do fill.push(openSync('/dev/null', 'r'));
    while (fill.at(-1)! < highest);
    const before = openFiles();
    const refused: string[] = [];
    for (let room = 0; ; room++) {
      limits.set('nofile', before.at(-1)! + 1 + room);
      const error = await makeOneOfEach();
      limits.set('nofile', null);
      if (!error) break;
      assert.deepEqual(
        [error.code, error.limit, error.errnoName],
        ['ERR_LIMIT', 'RLIMIT_NOFILE', 'EMFILE'],
        error.stack,
      );
      refused.push(error.ioctl);
      assert.deepEqual(openFiles(), before, `nothing is left over where ${error.ioctl} failed`);
    }
    for (const fd of fill) closeSync(fd);
    assert.deepEqual(refused.slice(0, 4), ['open', 'KVM_CREATE_VM', 'KVM_CREATE_VCPU', 'KVM_GET_STATS_FD']);
    assert.ok(refused.includes('eventfd'), String(refused));
  },

  /** More waits than the process may have files. */
  async waits() {
    using event = EventFd.create();
    const waits = Array.from({ length: 2000 }, () => event.wait('20s'));
    const late = Array.from({ length: 100 }, () => event.wait(1).catch((error: KvmDsmError) => error.code));
    assert.deepEqual(new Set(await Promise.all(late)), new Set(['ERR_DEADLINE']));
    // The thread that waits is idle: it has been asleep, and is woken by this.
    for (let i = 0; i < 5; i++) {
      event.write();
      const rest = await Promise.race(waits.map((wait, at) => wait.then((count) => ({ at, count }))));
      assert.equal(rest.count, 1n);
      waits.splice(rest.at, 1);
    }
    for (const wait of waits) wait.catch(() => {});
  },

  as() {
    using limits = new Limits();
    using guest = makeGuest();
    const big = new Uint8Array(192 * MIB);
    const before = addressSpace();
    limits.set('as', before + 128 * MIB);
    assert.equal(
      limitOf(() => GuestMemory.allocate(1024 * MIB)),
      'ERR_LIMIT RLIMIT_AS mmap ENOMEM',
    );
    // The addon takes a copy.
    assert.equal(
      limitOf(() => guest.vm.ioctlRaw(ioctls.KVM_SET_GSI_ROUTING, big)),
      'ERR_LIMIT RLIMIT_AS malloc ENOMEM',
    );
    assert.equal(
      limitOf(() =>
        guest.vcpus[0]!.start({ record: { exits: ['KVM_EXIT_IO'], capacity: 2 ** 18, ioBytes: 4096, onRecords() {} } }),
      ),
      'ERR_LIMIT RLIMIT_AS mmap ENOMEM',
    );
    limits.set('as', null);
    GuestMemory.allocate(256 * MIB).close();
    assert.equal(guest.program(0, countOut(0x42)).run().name, 'KVM_EXIT_IO');
  },

  /** Signals that come all the time do not fail the making of a VM. */
  async signals() {
    const all = await senders(2);
    using kvm = Kvm.open();
    try {
      for (let i = scaled(1000, 10); i > 0; i--) {
        using vm = kvm.createVm();
        vm.createVcpu(0);
      }
    } finally {
      for (const one of all) one.kill('SIGKILL');
    }
  },
};

await cases[process.argv[2]!]!();
console.log('ok');
