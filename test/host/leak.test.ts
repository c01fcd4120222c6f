import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { GuestMemory, Kvm } from '../../lib/index.ts';
import { scaled } from '../support/counts.ts';
import { countOut, makeGuest } from '../support/guest.ts';
import { noKvm } from '../support/host.ts';

/** What the allocator and the compiler may keep, in bytes. A leaked kvm_run mapping alone would be 12 MB in 1000. */
const RSS_SLACK = 24 << 20;

/** V8's heap comes and goes in mappings of its own, some dozens; guest memory that leaks is one per cycle. */
const MAPPINGS_SLACK = 100;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

interface Held {
  fds: number;
  threads: number;
  kvmMappings: number;
  mappings: number;
  rss: number;
}

/** What this process holds once everything that was dropped is gone. */
async function held(): Promise<Held> {
  for (let i = 0; i < 3; i++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const maps = readFileSync('/proc/self/maps', 'ascii').trimEnd().split('\n');
  return {
    fds: readdirSync('/proc/self/fd').length,
    threads: readdirSync('/proc/self/task').length,
    kvmMappings: maps.filter((line) => line.includes('kvm-vcpu')).length,
    mappings: maps.length,
    rss: process.memoryUsage().rss,
  };
}

const cycles: [what: string, count: number, cycle: (i: number) => Promise<void>][] = [
  [
    'closed while it runs',
    scaled(1000, 20),
    async () => {
      using guest = makeGuest();
      const run = guest.program(0, countOut(0x42)).start({ record: { exits: ['KVM_EXIT_IO'], onRecords() {} } });
      await run.kick();
    },
  ],
  [
    'stopped, then closed',
    scaled(200, 20),
    async (i) => {
      using guest = makeGuest();
      for await (const exit of guest.program(0, countOut(0x42)).start()) {
        assert.equal(exit.name, 'KVM_EXIT_IO');
        if (i % 3 > 0) break;
        guest.vcpus[0]!.close();
      }
    },
  ],
  [
    'forgotten with an exit that nobody takes',
    scaled(200, 20),
    async () => {
      const guest = makeGuest();
      const run = guest.program(0, countOut(0x42)).start();
      await run.pause();
      assert.notEqual(run.state, 'running');
    },
  ],
];

for (const [what, count, cycle] of cycles) {
  test(`${count} times a VM is opened, its vCPU runs and is ${what}: nothing is left`, {
    skip: noKvm,
    timeout: 120_000,
  }, async (t) => {
    const settle = what.startsWith('forgotten') ? 20 : 100;
    const many = async (count: number) => {
      for (let i = 0; i < count; i++) {
        await cycle(i);
        // What is forgotten is closed by the collector, which counts JavaScript objects, not VMs.
        if (i % settle === settle - 1) await held();
      }
    };
    await many(scaled(50, 10));
    const before = await held();
    await many(count);
    const after = await held();
    t.diagnostic(`${JSON.stringify(before)} -> ${JSON.stringify(after)}`);
    // Fewer is no leak: what a test before this one forgot may be collected meanwhile.
    for (const what of ['fds', 'threads', 'kvmMappings'] as const)
      assert.ok(after[what] <= before[what], `${what}: ${before[what]} -> ${after[what]}`);
    assert.ok(after.mappings <= before.mappings + MAPPINGS_SLACK, `mappings: ${before.mappings} -> ${after.mappings}`);
    assert.ok(after.rss <= before.rss + RSS_SLACK, `rss: ${before.rss} -> ${after.rss}`);
  });
}

test('what is closed is gone at once: no garbage collection, no turn of the event loop', { skip: noKvm }, () => {
  const mappingsOf = (what: RegExp) =>
    readFileSync('/proc/self/maps', 'ascii')
      .split('\n')
      .filter((line) => what.test(line)).length;
  const vcpus = /kvm-vcpu/;
  const before = mappingsOf(vcpus);
  // Of a size that nothing else here has.
  const bytes = 0x1357000;
  const memory = GuestMemory.allocate(bytes);
  memory.write(0, new Uint8Array(bytes).fill(1));
  using kvm = Kvm.open();
  for (let i = 0; i < 3; i++) {
    const vm = kvm.createVm();
    vm.setMemory({ slot: 0, guestPhysAddr: 0, memory });
    const vcpu = vm.createVcpu(0);
    assert.equal(vcpu.kvmRun.getUint8(0), 0);
    assert.equal(mappingsOf(vcpus), before + 1);
    vm.close();
    assert.equal(mappingsOf(vcpus), before, 'a mapped kvm_run keeps its VM');
  }
  const virtual = () => Number(/^VmSize:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'ascii'))?.[1]) * 1024;
  const mapped = virtual();
  memory.close();
  assert.ok(mapped - virtual() >= bytes, 'guest memory');
  // Addresses that a buffer was given out of stay; what they cost does not.
  const shown = GuestMemory.allocate(bytes);
  shown.bytes.fill(1);
  const resident = () => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'ascii'))?.[1]) * 1024;
  const used = resident();
  shown.close();
  assert.ok(used - resident() >= bytes / 2, 'guest memory that was given out');
});
