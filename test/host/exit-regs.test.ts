/** What a vCPU tells of its last exit without an ioctl (RIP, RCX, the time), against what the kernel says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Instruction, nop, out8, spin, type Vcpu } from '../../lib/index.ts';
import { scaled } from '../support/counts.ts';
import { countOut, makeGuest, random } from '../support/guest.ts';
import { errorOf, noKvm } from '../support/host.ts';

const options = { skip: noKvm, timeout: 60_000 };
const EXITS = scaled(2000, 200);
/** The general registers, of KVM_CAP_SYNC_REGS. Source: arch/x86/include/uapi/asm/kvm.h. */
const KVM_SYNC_X86_REGS = 1;
/** Offset of kvm_valid_regs in struct kvm_run. Source: include/uapi/linux/kvm.h. */
const VALID_REGS = 288;

/** Exits at many addresses, RCX counting: out; inc ecx; out; ... and again. */
const walk: Instruction[] = [
  ...Array.from({ length: 20 }, (_, i) => [out8(i), Uint8Array.of(0x41), i % 3 === 0 ? nop : out8(0x80 + i)]).flat(),
  Uint8Array.of(0xe9, 0, 0, 0, 0),
];

/** `walk` in an endless loop. */
function loop(): Instruction[] {
  const size = walk.reduce((sum, part) => sum + (part as Uint8Array).length, 0);
  const jump = walk.at(-1) as Uint8Array;
  new DataView(jump.buffer).setInt32(1, -size, true);
  return walk;
}

function assertSame(vcpu: Vcpu, what: string): void {
  // In this order: what getRegs() does must not be what makes them equal.
  const told = vcpu.exitRegs();
  const { rip, rcx } = vcpu.getRegs();
  assert.deepEqual(told, { rip, rcx }, what);
}

const offersRegs = (vcpu: Vcpu) => (vcpu.kvmRun.getUint8(VALID_REGS) & KVM_SYNC_X86_REGS) !== 0;

test(
  `${EXITS} exits on this thread: RIP and RCX are the vCPU's, and from the second on kvm_run has them`,
  options,
  () => {
    using guest = makeGuest();
    const vcpu = guest.program(0, ...loop());
    const seen = new Set<bigint>();
    for (let i = 0; i < EXITS; i++) {
      vcpu.run();
      assertSame(vcpu, `exit ${i}`);
      seen.add(vcpu.exitRegs().rip);
      if (guest.vm.checkExtension('KVM_CAP_SYNC_REGS') & KVM_SYNC_X86_REGS) assert.equal(offersRegs(vcpu), i > 0);
    }
    assert.ok(seen.size > 20, `${seen.size} places`);
  },
);

test(`${EXITS} exits, while a script does what it may do to registers`, options, () => {
  using guest = makeGuest();
  const vcpu = guest.program(0, ...loop());
  const next = random(20261128);
  const has = guest.vm.checkExtension('KVM_CAP_SYNC_REGS');
  const start = vcpu.getRegs();
  const acts: (() => void)[] = [
    () => vcpu.setRegs({ rcx: BigInt(Math.floor(next() * 1e9)) }),
    () => vcpu.setRegs({ rip: start.rip, rcx: 1n }),
    () => vcpu.debug({ singleStep: next() < 0.5 }),
    () => void vcpu.settle(),
    () => void vcpu.getMpState(),
    () => vcpu.setVcpuEvents(vcpu.getVcpuEvents()),
    () => vcpu.setSregs(vcpu.getSregs()),
    ...(has === 7
      ? [
          () => vcpu.requestSyncRegs({}),
          () => vcpu.requestSyncRegs({ sregs: true }),
          () => vcpu.requestSyncRegs({ regs: true, sregs: true, events: true }),
          () => vcpu.setSyncRegs({ regs: { ...vcpu.getRegs(), rcx: 0x77n } }),
          () => vcpu.setSyncRegs({ sregs: vcpu.getSregs() }),
        ]
      : []),
  ];
  for (let i = 0; i < EXITS; i++) {
    vcpu.run();
    if (next() < 0.8) assertSame(vcpu, `exit ${i}`);
    for (let times = Math.floor(next() * 3); times > 0; times--) {
      const which = Math.floor(next() * acts.length);
      acts[which]!();
      assertSame(vcpu, `exit ${i}, after act ${which}`);
    }
  }
});

test('what a script puts into kvm_run for the next KVM_RUN is in the vCPU after it, not before', options, (t) => {
  using guest = makeGuest();
  if ((guest.vm.checkExtension('KVM_CAP_SYNC_REGS') & KVM_SYNC_X86_REGS) === 0) return t.skip('no KVM_CAP_SYNC_REGS');
  const vcpu = guest.program(0, out8(1), out8(2), spin);
  vcpu.exitRegs();
  vcpu.run();
  const { rcx } = vcpu.exitRegs();
  vcpu.setSyncRegs({ regs: { ...vcpu.syncRegs().regs, rcx: rcx + 5n } });
  assert.equal(vcpu.exitRegs().rcx, rcx);
  vcpu.run();
  assert.equal(vcpu.exitRegs().rcx, rcx + 5n);
  return undefined;
});

test('registers that are asked for after the exit are not in kvm_run yet', options, (t) => {
  using guest = makeGuest();
  if ((guest.vm.checkExtension('KVM_CAP_SYNC_REGS') & KVM_SYNC_X86_REGS) === 0) return t.skip('no KVM_CAP_SYNC_REGS');
  const vcpu = guest.program(0, out8(1), out8(2), spin);
  vcpu.run();
  vcpu.requestSyncRegs({ regs: true });
  assertSame(vcpu, 'the first exit');
  vcpu.run();
  assertSame(vcpu, 'the second');
  return undefined;
});

test(`${EXITS} exits on a thread: RIP, RCX and the time are the exit's`, options, async () => {
  using guest = makeGuest();
  const vcpu = guest.program(0, ...loop());
  let last = 0;
  let count = 0;
  for await (const _ of vcpu.start()) {
    assertSame(vcpu, `exit ${count}`);
    assert.equal(vcpu.exitNs, vcpu.thread!.ns);
    assert.ok(vcpu.exitNs > last);
    last = vcpu.exitNs;
    if (count % 7 === 0) vcpu.setRegs({ rcx: BigInt(count) });
    if (count % 11 === 0) assertSame(vcpu, `exit ${count}, changed`);
    if (++count === EXITS) break;
  }
  assertSame(vcpu, 'after the thread');
  vcpu.run();
  assertSame(vcpu, 'on this thread again');
  assert.ok(vcpu.exitNs > last && vcpu.exitNs <= Number(process.hrtime.bigint()));
});

test('a paused vCPU, one that is kicked, and one that is stopped on its way', options, async () => {
  using guest = makeGuest();
  const vcpu = guest.program(0, ...loop());
  vcpu.exitRegs();
  for (let i = 0; i < scaled(200, 30); i++) {
    const run = vcpu.start({ onExit: () => assertSame(vcpu, `run ${i}`) });
    if (i % 2) await run.kick();
    await run.pause();
    assertSame(vcpu, `paused, run ${i}`);
    run.resume();
    if (run.inGuest) assert.equal(errorOf(() => vcpu.exitRegs()).code, 'ERR_VCPU_BUSY');
    await run.stop();
    await run.ended();
    assertSame(vcpu, `stopped, run ${i}`);
  }
});

test('records have the RIP of their exit though the script asks kvm_run for other registers', options, async (t) => {
  using guest = makeGuest();
  if (guest.vm.checkExtension('KVM_CAP_SYNC_REGS') !== 7) return t.skip('no KVM_CAP_SYNC_REGS');
  // out PORT, eax; in al, 0x71; and again.
  const vcpu = guest.program(0, ...[1, 2, 3, 4].flatMap((port) => [out8(port), Uint8Array.of(0xe4, 0x71)]), spin);
  const rips: number[] = [];
  const run = vcpu.start({
    record: {
      exits: ['KVM_EXIT_IO'],
      onRecords(batch) {
        for (const { rip } of batch) rips.push(Number(rip! & 0xfffn));
      },
    },
    onExit(_, self) {
      vcpu.requestSyncRegs({ sregs: true });
      if (self.seq === 7) self.askToStop();
    },
  });
  await run.ended();
  // RIP is at the access, or after it: KVM's choice, and the same for all.
  const steps = (list: number[]) => list.slice(1).map((rip, i) => rip - list[i]!);
  assert.deepEqual(steps(rips), [rips[1]! - rips[0]!, rips[1]! - rips[0]!, rips[1]! - rips[0]!]);
  assert.ok(rips[1]! - rips[0]! > 0);
  return undefined;
});

test('use after close', options, () => {
  using guest = makeGuest();
  const vcpu = guest.program(0, countOut(1));
  vcpu.exitRegs();
  vcpu.run();
  const { exitNs } = vcpu;
  vcpu.close();
  assert.equal(errorOf(() => vcpu.exitRegs()).code, 'ERR_CLOSED');
  assert.equal(vcpu.exitNs, exitNs);
});
