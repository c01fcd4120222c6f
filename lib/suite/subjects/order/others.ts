/** Writes among the other exits and effects of their guest. */
import { APIC_DEFAULT_PHYS_BASE } from '../../../abi/apic/lapic.ts';
import type { Exit } from '../../../exit/exit.ts';
import { hlt, type Instruction, in8, out8, read32, sti, write32 } from '../../../guest/bytes.ts';
import type { Check } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import type { Driver } from '../../kit/drive.ts';
import { writeInstruction as write } from '../../kit/guests.ts';
import { forwarding, steps } from '../../kit/needs.ts';
import { firstOnes, sameRows } from '../../kit/rows.ts';
import { SLOT } from '../../kit/sources.ts';
import { byTurns, DEVICE, nth, OTHER_PORT, primed, primedMachine, range, writesIn } from '../../kit/writers.ts';
import { EXITS, line, mmio, VECTOR } from './exits.ts';

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

const port = (exit: Exit) =>
  exit.name === 'KVM_EXIT_IO' ? `${exit.direction} of port 0x${exit.port.toString(16)}` : exit.name;

export const otherExitChecks: Check[] = [
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
      'A write before a HLT and one after it come out in this order, with the interrupt that ends the HLT between them',
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
    claim: 'A write comes out before the instruction after it has had an effect',
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
];
