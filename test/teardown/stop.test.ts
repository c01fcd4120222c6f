/** A vCPU whose thread does not end in time, and one that only seems not to. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { spin, type VcpuStopError } from '../../lib/index.ts';
import { countOut, type Guest, makeGuest } from '../support/guest.ts';
import { hold, noHold } from '../support/hold-thread.ts';
import { errorOf, noKvm } from '../support/host.ts';
import { threadsNamed, vcpuMappings, waitUntilParked } from '../support/left-behind.ts';

const options = { skip: noKvm || noHold, timeout: 60_000 };

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** The one thread that runs vCPU 0. */
function vcpuThread(): number {
  const found = threadsNamed('vcpu 0');
  assert.equal(found.length, 1);
  return found[0]!;
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** How many mappings of vCPUs there are once what was closed is collected: a view of one keeps it. */
async function mappingsLeft(): Promise<number> {
  collect();
  await turn();
  return vcpuMappings();
}

test('stop() of a thread that does not get on: ERR_VCPU_STOP, and it ends once it does', options, async () => {
  using guest = makeGuest();
  const vcpu = guest.program(0, countOut(0x42));
  const run = vcpu.start({ record: { exits: ['KVM_EXIT_IO'], onRecords() {} } });
  await run.kick();
  await using held = await hold(vcpuThread());
  const error = (await run.stop({ deadline: 20 }).catch((refused: unknown) => refused)) as VcpuStopError;
  assert.deepEqual([error.code, error.vcpuId], ['ERR_VCPU_STOP', 0]);
  assert.match(error.message, /vCPU 0 did not end within 20 ms/);
  assert.equal(run.state, 'stopping');
  assert.equal(errorOf(() => vcpu.getRegs()).code, 'ERR_VCPU_BUSY');
  const again = run.stop({ deadline: '20s' });
  await held.release();
  await again;
  assert.equal(run.state, 'stopped');
  assert.equal(vcpu.run().name, 'KVM_EXIT_IO', 'it can be run again');
});

for (const [what, close] of [
  ['its vCPU', ({ vcpus }: Guest) => vcpus[0]!.close()],
  ['its VM', ({ vm }: Guest) => vm.close()],
] as const)
  test(`close() of ${what}: ERR_VCPU_STOP, and what the thread holds is let go of once it ends`, options, async () => {
    using guest = makeGuest(2);
    const run = guest.program(0, spin).start();
    await run.kick();
    const thread = vcpuThread();
    await using held = await hold(thread);
    const error = errorOf(() => close(guest)) as VcpuStopError;
    assert.deepEqual([error.code, error.vcpuId], ['ERR_VCPU_STOP', 0]);
    assert.equal(guest.vcpus[0]!.closed, true);
    assert.equal(guest.vcpus[1]!.closed, what === 'its VM');
    assert.equal(guest.vm.closed, what === 'its VM');
    await run.ended();
    guest.vm.close();
    while ((await mappingsLeft()) > 1);
    assert.equal(await mappingsLeft(), 1, 'the thread still has its kvm_run');
    await held.release();
    while (threadsNamed('vcpu 0').includes(thread) || (await mappingsLeft()) > 0);
  });

test('stop() of a thread that has ended in time, in a process that looks late', options, async () => {
  using guest = makeGuest();
  const run = guest.program(0, spin).start();
  await run.kick();
  // As the event loop has it: timers first, then what threads have to tell.
  await turn();
  const stopped = run.stop({ deadline: 1 });
  const asked = performance.now();
  while (threadsNamed('vcpu 0').length > 0 || performance.now() < asked + 2);
  await stopped;
});

/** Offset of kvm_valid_regs in struct kvm_run. Source: include/uapi/linux/kvm.h. */
const VALID_REGS = 288;

test('a KVM_RUN that failed before stop(), in a process that looks late, is told as such', {
  skip: noKvm,
}, async () => {
  using guest = makeGuest();
  const vcpu = guest.program(0, spin);
  const run = vcpu.start();
  await run.pause();
  // A bit that KVM does not know, among those that every version looks at: the next KVM_RUN fails with EINVAL.
  vcpu.kvmRun.setBigUint64(VALID_REGS, 1n << 31n, true);
  run.resume();
  waitUntilParked(vcpuThread());
  const ended = assert.rejects(run.ended(), { name: 'IoctlError', ioctl: 'KVM_RUN', errnoName: 'EINVAL' });
  await run.stop().catch(() => {});
  await ended;
});
