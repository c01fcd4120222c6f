/** How a run of several vCPUs ends, seen from inside. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RunBudget } from '../../lib/base/budget.ts';
import { asm, machine } from '../../lib/index.ts';
import { runThreads } from '../../lib/script/machine/run-threads.ts';
import { noKvm } from '../support/host.ts';
import { threadsNamed, waitUntilParked } from '../support/left-behind.ts';

const FLAG = 0x800;

test('an exit that ends a run while it looks where its vCPUs are is what ends it', { skip: noKvm }, async () => {
  const broken = new Error('broken');
  let met = 0;
  for (let i = 0; i < 100; i++) {
    let ended = false;
    await using m = await machine({ vcpus: 2 });
    // Both exit at about the time when they are taken out again.
    for (const vcpu of m.vcpus)
      vcpu.program(asm.flat32`
        before: cmp dword [${FLAG}], 1
          jne before
          mov ecx, ${i}
        again: dec ecx
          jns again
          out 1, al
          hlt`);
    const run = runThreads(
      m.vcpus.map(({ vcpu }) => vcpu),
      {
        budget: new RunBudget(),
        closing: new AbortController().signal,
        untilIdle: false,
        idle: [],
        limit: 1,
        onExit() {
          ended = true;
          throw broken;
        },
        isLeft: () => false,
        onLateExit() {},
        sample(vcpu) {
          vcpu.getRegs();
          // Lets both go on.
          m.memory.write(FLAG, Uint8Array.of(1));
        },
      },
    );
    const outcome = await run.catch((error: unknown) => error);
    // On a slow machine the guests may get no CPU while it looks: the time is over then, and nothing else.
    assert.equal(outcome, ended ? broken : false);
    if (ended) met++;
  }
  assert.ok(met > 0, 'none of the exits came while it looked');
});

/** Offset of kvm_valid_regs in struct kvm_run. Source: include/uapi/linux/kvm.h. */
const VALID_REGS = 288;

test('a KVM_RUN that fails while a run looks where its vCPUs are is told as such', { skip: noKvm }, async () => {
  for (let i = 0; i < 10; i++) {
    await using m = await machine({ vcpus: 2 });
    for (const vcpu of m.vcpus) vcpu.program(asm.flat32`again: jmp again`);
    const run = runThreads(
      m.vcpus.map(({ vcpu }) => vcpu),
      {
        budget: new RunBudget(),
        closing: new AbortController().signal,
        untilIdle: false,
        idle: [],
        limit: 1,
        onExit: () => false,
        isLeft: () => false,
        onLateExit() {},
        sample(vcpu) {
          vcpu.getRegs();
          // A bit that KVM does not know, among those that every version looks at: the next KVM_RUN fails with EINVAL.
          vcpu.kvmRun.setBigUint64(VALID_REGS, 1n << 31n, true);
          // Both have failed, and the next look is due, before anybody here hears of it.
          const threads = threadsNamed(`vcpu ${vcpu.vcpuId}`);
          setImmediate(() => threads.forEach(waitUntilParked));
        },
      },
    );
    await assert.rejects(run, { name: 'IoctlError', ioctl: 'KVM_RUN', errnoName: 'EINVAL' });
  }
});
