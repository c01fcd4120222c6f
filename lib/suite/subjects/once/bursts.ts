/** Plain writes: one, many, equal ones, with other exits after them. */

import { type Instruction, in8, mov32, out8, read32, write32 } from '../../../guest/bytes.ts';
import { type Check, table } from '../../check.ts';
import { writeIcr2Ecx } from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
import { Driver } from '../../kit/drive.ts';
import { type LapicWrite, lapicWriter, writeInstruction as write } from '../../kit/guests.ts';
import { forwarding, steps } from '../../kit/needs.ts';
import { SLOT } from '../../kit/sources.ts';
import { byTurns, checkEachOnce, DEVICE, nth, nthSend, OTHER_PORT, primed, range } from '../../kit/writers.ts';

/** That each of these writes comes out once. */
async function checkWrites(ctx: CheckContext, writes: readonly LapicWrite[]): Promise<void> {
  checkEachOnce((await primed(ctx, writes.map(write))).untilDone(), writes);
}

interface Burst {
  word: string;
  claim: string;
  writes: readonly LapicWrite[];
}

const bursts: readonly Burst[] = [
  { word: 'one.icr2', claim: 'A write of ICR2 comes out once', writes: [nth(0)] },
  { word: 'one.icr', claim: 'A write of ICR comes out once', writes: [nthSend(0)] },
  { word: 'burst.icr2', claim: '64 writes of ICR2 back to back come out once each', writes: range(64).map(nth) },
  { word: 'burst.icr', claim: '64 writes of ICR back to back come out once each', writes: range(64).map(nthSend) },
  { word: 'burst.both', claim: '64 writes of either register come out once each', writes: byTurns(64) },
  {
    word: 'same.icr2',
    claim: 'ICR2 written 16 times with the same value comes out 16 times',
    writes: range(16).map(() => nth(0)),
  },
  {
    word: 'same.icr',
    claim: 'ICR written 16 times with the same value comes out 16 times',
    writes: range(16).map(() => nthSend(0)),
  },
  {
    word: 'same.pairs',
    claim: 'The same ICR2 and ICR written 8 times by turns come out 8 times each',
    writes: range(8).flatMap(() => [nth(0), nthSend(0)]),
  },
];

/** What a guest does after its write, twice. */
const afterwards: readonly [word: string, what: string, code: Instruction][] = [
  ['out', 'OUT', out8(OTHER_PORT)],
  ['in', 'IN', in8(OTHER_PORT)],
  ['mmio-write', 'a write to an address without memory', write32(DEVICE, 1)],
  ['mmio-read', 'a read from an address without memory', read32(DEVICE)],
];

export const burstChecks: Check[] = [
  {
    id: 'once.first',
    claim: "A vCPU's first write comes out once",
    source: SLOT,
    needs: [forwarding],
    async run(ctx) {
      const machine = await ctx.machine({ apic: 'xapic' });
      machine.vcpu(0).program(lapicWriter([nth(0)]));
      checkEachOnce(new Driver(ctx, machine).untilDone(), [nth(0)]);
    },
  },
  ...table(bursts, ({ word, claim, writes }) => ({
    id: `once.${word}`,
    claim,
    source: SLOT,
    needs: [forwarding],
    run: (ctx: CheckContext) => checkWrites(ctx, writes),
  })),
  {
    id: 'once.loop',
    claim: 'Each of the 64 writes of one instruction in a loop comes out once',
    source: SLOT,
    needs: [forwarding],
    async run(ctx) {
      const count = 64;
      const writes = range(count).map(nth);
      const driver = await primed(ctx, [mov32('ecx', count), mov32('eax', writes[0]!.value), writeIcr2Ecx]);
      checkEachOnce(driver.untilDone(), writes);
    },
  },
  {
    id: 'once.single-step',
    claim: 'Under KVM_GUESTDBG_SINGLESTEP each write comes out once',
    source: `${SLOT}; Documentation/virt/kvm/api.rst 4.87`,
    needs: [forwarding, steps],
    async run(ctx) {
      const writes = byTurns(8);
      const driver = await primed(ctx, writes.map(write));
      driver.vcpu.debug({ singleStep: true });
      checkEachOnce(driver.untilDone(), writes);
    },
  },
  ...table(afterwards, ([word, what, code]) => ({
    id: `once.resume.${word}`,
    claim: `A write does not come out again when its guest goes on after ${what}`,
    source: `${SLOT}; Documentation/virt/kvm/api.rst 5: pending operations`,
    needs: [forwarding],
    async run(ctx: CheckContext) {
      const driver = await primed(ctx, [write(nth(0)), code, code, out8(OTHER_PORT + 1), out8(OTHER_PORT + 1)]);
      checkEachOnce(driver.untilDone(), [nth(0)]);
    },
  })),
  {
    id: 'once.resume.registers-read',
    claim:
      'A write does not come out again when user space writes back the registers and the LAPIC that it reads at its exit',
    source: `${SLOT}; Documentation/virt/kvm/api.rst 4.12, 4.58`,
    needs: [forwarding],
    async run(ctx) {
      const writes = byTurns(4);
      const driver = await primed(ctx, writes.map(write));
      const { vcpu } = driver;
      const exits = driver.untilDone(() => {
        vcpu.setRegs(vcpu.getRegs());
        vcpu.setLapic(vcpu.getLapic());
      });
      checkEachOnce(exits, writes);
    },
  },
];
