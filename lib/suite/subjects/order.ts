/** In which order writes come out, among each other and among what else a guest does. */
import { isDeepStrictEqual } from 'node:util';
import { APIC_DEFAULT_PHYS_BASE } from '../../abi/apic/lapic.ts';
import type { Exit } from '../../exit/decode.ts';
import { hlt, type Instruction, in8, mov32, out8, read32, sti, write32 } from '../../guest/bytes.ts';
import { PROGRAM } from '../../guest/layout.ts';
import { type Check, subject } from '../check.ts';
import type { CheckContext } from '../kit/context.ts';
import { atOnce, type Driver, isPort } from '../kit/drive.ts';
import { firstOnes, forwardedExits, sameRows } from '../kit/forwarded-writes.ts';
import { at, DONE_PORT, type LapicWrite, writeInstruction as write } from '../kit/guests.ts';
import { forwarding, steps } from '../kit/needs.ts';
import { SLOT } from '../kit/sources.ts';
import {
  answer,
  byTurns,
  CODE_OFFSET,
  DEVICE,
  nth,
  nthSend,
  OTHER_PORT,
  primed,
  primedMachine,
  range,
  writesIn,
} from '../kit/writers.ts';

const EXITS = `${SLOT}; Documentation/virt/kvm/api.rst 5: an exit is of the instruction before RIP`;
const ICR2_ADDRESS = at('ICR2');
/** No exception, and no vector of the PIC. */
const VECTOR = 0xe0;

/** That exactly these writes come out, in their order; more than once does not matter. */
async function checkOrder(ctx: CheckContext, writes: readonly LapicWrite[]): Promise<void> {
  sameRows('the writes', firstOnes(writesIn((await primed(ctx, writes.map(write))).untilDone())), writes);
}

/**
 * What came out, in order: a write as its value, another exit as `other`. Of what came twice only the first.
 *
 * @param other what to call another exit; `null`: it does not count
 */
function line(exits: readonly Exit[], other: (exit: Exit) => string | null): (number | string)[] {
  const all = exits.map(
    (exit) => (forwardedExits([exit]).length > 0 ? writesIn([exit])[0]?.value : other(exit)) ?? null,
  );
  return firstOnes(all.filter((one) => one !== null));
}

/** Writes with something else between each two of them, and that all comes out as it stands in the program. */
async function checkInterleaved(
  ctx: CheckContext,
  between: (n: number) => { code: Instruction; as: string },
  other: (exit: Exit) => string | null,
): Promise<void> {
  const writes = byTurns(6);
  const driver = await primed(
    ctx,
    writes.flatMap((one, n) => [write(one), between(n).code]),
  );
  sameRows(
    'the exits',
    line(driver.untilDone(), other),
    writes.flatMap(({ value }, n) => [value, between(n).as]),
  );
}

/** Each write up to the end of the program, as it comes out for the first time, and what can be read then. */
function atFirst(driver: Driver, read: () => number): [number, number][] {
  const seen = new Map<number, number>();
  driver.untilDone((exit) => {
    for (const { value } of writesIn([exit])) if (!seen.has(value)) seen.set(value, read());
  });
  return [...seen];
}

const mmio = (exit: Exit) =>
  exit.name === 'KVM_EXIT_MMIO' ? `${exit.isWrite ? 'write' : 'read'} of 0x${exit.physAddr.toString(16)}` : exit.name;
const port = (exit: Exit) =>
  exit.name === 'KVM_EXIT_IO' ? `${exit.direction} of port 0x${exit.port.toString(16)}` : exit.name;

/** That writes come out in order though each KVM_RUN has one before it that is not to enter the guest. */
async function checkInterrupted(ctx: CheckContext, interrupt: (driver: Driver) => Exit | string): Promise<void> {
  const writes = byTurns(8);
  const driver = await primed(ctx, writes.map(write));
  sameRows('the writes', firstOnes(writesIn(driver.untilDoneBehind(() => interrupt(driver)))), writes);
}

const checks: Check[] = [
  {
    id: 'order.icr2-icr',
    claim: 'ICR2 and then ICR, which is an IPI, come out in this order',
    source: SLOT,
    needs: [forwarding],
    run: (ctx) => checkOrder(ctx, [nth(0), nthSend(0)]),
  },
  {
    id: 'order.icr-icr2',
    claim: 'ICR and then ICR2 come out in this order',
    source: SLOT,
    needs: [forwarding],
    run: (ctx) => checkOrder(ctx, [nthSend(0), nth(0)]),
  },
  {
    id: 'order.burst.icr2',
    claim: '32 writes of ICR2 back to back come out in program order',
    source: SLOT,
    needs: [forwarding],
    run: (ctx) => checkOrder(ctx, range(32).map(nth)),
  },
  {
    id: 'order.burst.icr',
    claim: '31 writes of ICR back to back come out in program order',
    source: SLOT,
    needs: [forwarding],
    run: (ctx) => checkOrder(ctx, range(31).map(nthSend)),
  },
  {
    id: 'order.alternating',
    claim: 'Writes of ICR2 and ICR by turns come out in program order',
    source: SLOT,
    needs: [forwarding],
    run: (ctx) =>
      checkOrder(
        ctx,
        range(16).flatMap((n) => [nth(n), nthSend(n)]),
      ),
  },
  {
    id: 'order.random',
    claim: 'Writes of either register, in an order that the seed decides, come out in program order',
    source: SLOT,
    needs: [forwarding],
    run: (ctx) => checkOrder(ctx, ctx.random.shuffle([...range(24).map(nth), ...range(24).map(nthSend)])),
  },
  {
    id: 'order.loop',
    claim: 'Writes of a loop, by one and the same instruction, come out in the order in which it ran',
    source: SLOT,
    needs: [forwarding],
    async run(ctx) {
      const count = 32;
      const values = range(count).map((n) => nth(n).value);
      const driver = await primed(ctx, [
        mov32('ecx', count),
        mov32('eax', values[0]!),
        // again: mov [ICR2], eax; add eax, 0x01000000; dec ecx; jnz again
        Uint8Array.of(0xa3, 0x10, 0x03, 0xe0, 0xfe),
        Uint8Array.of(0x05, 0x00, 0x00, 0x00, 0x01),
        Uint8Array.of(0x49, 0x75, 0xf3),
      ]);
      sameRows(
        'the values',
        firstOnes(writesIn(driver.untilDone())).map(({ value }) => value),
        values,
      );
    },
  },
  {
    id: 'order.port.out',
    claim: 'Writes and OUT come out in program order',
    source: EXITS,
    needs: [forwarding],
    run: (ctx) =>
      checkInterleaved(
        ctx,
        (n) => ({ code: out8(OTHER_PORT + n), as: `out of port 0x${(OTHER_PORT + n).toString(16)}` }),
        port,
      ),
  },
  {
    id: 'order.port.in',
    claim: 'Writes and IN, which waits for an answer, come out in program order',
    source: EXITS,
    needs: [forwarding],
    run: (ctx) =>
      checkInterleaved(
        ctx,
        (n) => ({ code: in8(OTHER_PORT + n), as: `in of port 0x${(OTHER_PORT + n).toString(16)}` }),
        port,
      ),
  },
  {
    id: 'order.mmio.write',
    claim: 'Writes and writes to an address without memory come out in program order',
    source: EXITS,
    needs: [forwarding],
    run: (ctx) =>
      checkInterleaved(
        ctx,
        (n) => ({ code: write32(DEVICE + 4 * n, n), as: `write of 0x${(DEVICE + 4 * n).toString(16)}` }),
        mmio,
      ),
  },
  {
    id: 'order.mmio.read',
    claim: 'Writes and reads from an address without memory, which wait for an answer, come out in program order',
    source: EXITS,
    needs: [forwarding],
    run: (ctx) =>
      checkInterleaved(
        ctx,
        (n) => ({ code: read32(DEVICE + 4 * n), as: `read of 0x${(DEVICE + 4 * n).toString(16)}` }),
        mmio,
      ),
  },
  {
    id: 'order.hlt',
    claim:
      'A write before a HLT and one behind it come out in this order, with the interrupt that ends the HLT between them',
    source: `${SLOT}; SDM vol. 2, HLT`,
    needs: [forwarding],
    async run(ctx) {
      const code = [write(nth(0)), sti, hlt, write(nth(1))];
      const { machine, drivers } = await primedMachine(ctx, [code], { program: { interrupts: false } });
      // It waits until the guest lets interrupts in, with HLT.
      machine.signalMsi({ addressLo: APIC_DEFAULT_PHYS_BASE, addressHi: 0, data: VECTOR });
      const seen = atFirst(drivers[0]!, () => machine.vcpu(0).interrupts.get(VECTOR) ?? 0);
      sameRows('the writes, and the interrupts taken until then', seen, [
        [nth(0).value, 0],
        [nth(1).value, 1],
      ]);
    },
  },
  {
    id: 'order.next-instruction',
    claim: 'A write comes out before the instruction behind it has had an effect',
    source: EXITS,
    needs: [forwarding],
    async run(ctx) {
      const count = 4;
      // Memory of its own, above every program.
      const stores = 0x10_0000;
      const code = range(count).flatMap((n) => [write(nth(n)), write32(stores, n + 1)]);
      const { machine, drivers } = await primedMachine(ctx, [code]);
      const seen = atFirst(drivers[0]!, () => machine.memory.view.getUint32(stores, true));
      sameRows(
        'the writes, and how many stores the guest had made when each came out',
        seen,
        range(count).map((n) => [nth(n).value, n]),
      );
    },
  },
  {
    id: 'order.single-step',
    claim: 'Under KVM_GUESTDBG_SINGLESTEP writes come out in program order, and each of their instructions is a step',
    source: `${SLOT}; Documentation/virt/kvm/api.rst 4.87`,
    needs: [forwarding, steps],
    async run(ctx) {
      const writes = byTurns(6);
      const driver = await primed(ctx, writes.map(write));
      driver.vcpu.debug({ singleStep: true });
      const exits = driver.untilDone();
      sameRows('the writes', firstOnes(writesIn(exits)), writes);
      // The OUT that ends the program is the exit itself.
      const count = exits.filter(({ name }) => name === 'KVM_EXIT_DEBUG').length;
      ctx.ok(count >= writes.length, `${count} steps for ${writes.length} instructions that write`);
    },
  },
  {
    id: 'order.two-vcpus.turns',
    claim: "Of two vCPUs that are entered by turns, each one's writes come out in its program order",
    source: SLOT,
    needs: [forwarding],
    async run(ctx) {
      const writes = [range(8).map(nth), range(8).map((n) => nth(20 + n))];
      const { drivers } = await primedMachine(
        ctx,
        writes.map((own) => own.map(write)),
      );
      const turns = drivers.map((driver, id) => ({ driver, id, exits: [] as Exit[], over: false }));
      while (turns.some(({ over }) => !over))
        for (const turn of turns.filter(({ over }) => !over)) {
          const exit = turn.driver.next();
          turn.over = isPort(exit, DONE_PORT);
          turn.exits.push(exit);
        }
      for (const { id, exits } of turns) sameRows(`the writes of vCPU ${id}`, firstOnes(writesIn(exits)), writes[id]!);
    },
  },
  {
    id: 'order.two-vcpus.threads',
    claim: "Of two vCPUs that run at once, each one's writes come out in its program order",
    source: SLOT,
    needs: [forwarding],
    deadline: '20s',
    async run(ctx) {
      const writes = [range(16).map(nth), range(16).map((n) => nth(20 + n))];
      const { machine } = await primedMachine(
        ctx,
        writes.map((own) => own.map(write)),
      );
      const exits = await atOnce(ctx, machine, DONE_PORT);
      for (const [id, own] of writes.entries())
        sameRows(`the writes of vCPU ${id}`, firstOnes(writesIn(exits[id]!)), own);
    },
  },
  {
    id: 'order.handler',
    claim: 'The writes of a handler come out between those before and behind the instruction that raised it',
    source: `${SLOT}; SDM vol. 2, INT n`,
    needs: [forwarding],
    async run(ctx) {
      const call = Uint8Array.of(0xcd, VECTOR);
      const iret = Uint8Array.of(0xcf);
      const main = [write(nth(0)), call, write(nth(3)), out8(DONE_PORT)];
      const length = main.reduce((sum, one) => sum + one.length, 0);
      const handlers = { [VECTOR]: PROGRAM + CODE_OFFSET + length };
      const driver = await primed(ctx, [...main, write(nth(1)), write(nthSend(2)), iret], { handlers });
      sameRows('the writes', firstOnes(writesIn(driver.untilDone())), [nth(0), nth(1), nthSend(2), nth(3)]);
    },
  },
  {
    id: 'order.signal',
    claim: 'Writes come out in program order though each KVM_RUN has one before it with a signal pending',
    source: `${SLOT}; Documentation/virt/kvm/api.rst 4.10: EINTR`,
    needs: [forwarding],
    run: (ctx) => checkInterrupted(ctx, (driver) => driver.runWithSignal()),
  },
  {
    id: 'order.immediate-exit',
    claim: 'Writes come out in program order though each KVM_RUN has one before it with immediate_exit set',
    source: `${SLOT}; Documentation/virt/kvm/api.rst 5: immediate_exit`,
    needs: [forwarding],
    run: (ctx) => checkInterrupted(ctx, (driver) => driver.runImmediateExit()),
  },
  {
    id: 'order.same-instruction',
    claim: 'A write comes out before the access to user space that the same instruction makes behind it',
    source: EXITS,
    needs: [forwarding],
    shortfall: {
      reason:
        'the exit of an instruction that goes on is told first: KVM_RUN returns with it before it looks at requests',
      source: 'arch/x86/kvm/x86.c: kvm_arch_vcpu_ioctl_run, complete_userspace_io',
      cause: /^the write came out behind the read that follows it/,
    },
    async run(ctx) {
      // REP MOVSD, twice: reads DEVICE, writes ICR2, reads DEVICE + 4, writes where there is no register.
      const driver = await primed(ctx, [
        mov32('esi', DEVICE),
        mov32('edi', ICR2_ADDRESS),
        mov32('ecx', 2),
        Uint8Array.of(0xf3, 0xa5),
      ]);
      const { register, value } = nth(0);
      const exits = driver.untilDone((exit) => {
        if (exit.name === 'KVM_EXIT_MMIO') answer(driver, value);
      });
      const seen = line(exits, mmio);
      const reads = [0, 4].map((offset) => `read of 0x${(DEVICE + offset).toString(16)}`);
      if (isDeepStrictEqual(seen, [...reads, value])) ctx.fail('the write came out behind the read that follows it');
      sameRows(`the exits, ${register} as its value`, seen, [reads[0], value, reads[1]]);
    },
  },
];

export const order = subject('order', 'writes come out in program order', checks);
