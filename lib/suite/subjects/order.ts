/** In which order writes come out, among each other and among what else a guest does. */
import { encodeIcr, encodeIcr2 } from '../../abi/icr.ts';
import { APIC_DEFAULT_PHYS_BASE, lapicRegisters } from '../../abi/lapic.ts';
import type { Exit } from '../../exit.ts';
import { flat32, hlt, type Instruction, in8, mov32, out8, read32, sti, write32 } from '../../guest/flat32.ts';
import { type Check, subject } from '../check.ts';
import type { CheckContext } from '../context.ts';
import { Driver } from '../drive.ts';
import { DONE_PORT, icr, icr2, type LapicWrite } from '../guests.ts';
import { forwarding, steps } from '../needs.ts';
import { firstOnes, noticesIn, sameRows, type Told, toldIn } from '../notices.ts';

const PATCH = 'patch 2/3, arch/x86/kvm/x86.c: vcpu_enter_guest';
const EXITS = `${PATCH}; Documentation/virt/kvm/api.rst 5: an exit is of the instruction before RIP`;
/** Where a guest leaves behind a first write that no claim is about. */
const PRIMED_PORT = 0x11;
/** For other exits; no device has them. */
const OTHER_PORT = 0x12;
/** No memory is there. */
const DEVICE = 0xd000_0000;
/** No exception, and no vector of the PIC. */
const VECTOR = 0xe0;

/** The n-th ICR2 write of a guest, to no APIC id of the VM: they all differ. n from 0 to 99. */
const nth = (n: number): LapicWrite => icr2(encodeIcr2({ destination: 0x70 + n }));
/** The n-th ICR write of a guest, to nobody: a logical id, and no vCPU has any. n from 0 to 31. */
const nthSend = (n: number): LapicWrite => icr(encodeIcr({ vector: VECTOR + n, destinationMode: 'logical' }));
const range = (count: number) => Array.from({ length: count }, (_, n) => n);

const write = ({ register, value }: LapicWrite): Instruction =>
  write32(APIC_DEFAULT_PHYS_BASE + lapicRegisters[register], value);

/** A driver of vCPU 0 whose first write is behind it. */
async function primed(ctx: CheckContext, code: readonly Instruction[], vcpus = 1): Promise<Driver> {
  const machine = await ctx.machine({ apic: 'xapic', vcpus });
  for (const { id } of machine.vcpus) machine.vcpu(id).program(program(code));
  const driver = new Driver(ctx, machine);
  driver.until(PRIMED_PORT);
  return driver;
}

const PRIME = nth(99);
const isPrime = ({ value }: { value: number }) => value === PRIME.value;
const program = (code: readonly Instruction[]) => flat32(write(PRIME), out8(PRIMED_PORT), ...code, out8(DONE_PORT));

/** The first time that each write came out. */
const told = (exits: readonly Exit[]): Told[] => firstOnes(toldIn(exits)).filter((one) => !isPrime(one));

/** That exactly these writes come out, in their order. */
async function checkOrder(ctx: CheckContext, writes: readonly LapicWrite[]): Promise<void> {
  sameRows('the writes', told((await primed(ctx, writes.map(write))).untilDone()), writes);
}

/**
 * What came out, in order: a write as its value, another exit as `other`. Of what came twice only the first.
 *
 * @param other what to call another exit; `null`: it does not count
 */
function line(exits: readonly Exit[], other: (exit: Exit) => string | null): (number | string)[] {
  const all = exits.map((exit) => toldIn([exit])[0]?.value ?? (noticesIn([exit]).length > 0 ? null : other(exit)));
  return firstOnes(all.filter((one) => one !== null && one !== PRIME.value) as (number | string)[]);
}

/** Writes with something else between each two of them, and that all comes out as it stands in the program. */
async function checkInterleaved(
  ctx: CheckContext,
  between: (n: number) => { code: Instruction; as: string },
  other: (exit: Exit) => string | null,
): Promise<void> {
  const count = 6;
  const code = range(count).flatMap((n) => [write(n % 2 === 0 ? nth(n) : nthSend(n)), between(n).code]);
  const expected = range(count).flatMap((n) => [(n % 2 === 0 ? nth(n) : nthSend(n)).value, between(n).as]);
  const driver = await primed(ctx, code);
  sameRows('the exits', line(driver.untilDone(), other), expected);
}

/** Each write up to the end of the program, as it comes out for the first time, and what can be read then. */
function atFirst(driver: Driver, read: () => number): [number, number][] {
  const seen = new Map<number, number>();
  driver.untilDone((exit) => {
    for (const write of toldIn([exit])) if (!isPrime(write) && !seen.has(write.value)) seen.set(write.value, read());
  });
  return [...seen];
}

const mmio = (exit: Exit) =>
  exit.name === 'KVM_EXIT_MMIO' ? `${exit.isWrite ? 'write' : 'read'} of 0x${exit.physAddr.toString(16)}` : exit.name;
const port = (exit: Exit) =>
  exit.name === 'KVM_EXIT_IO' ? `${exit.direction} of port 0x${exit.port.toString(16)}` : exit.name;

const checks: Check[] = [
  {
    id: 'order.icr2-icr',
    claim: 'ICR2 and then ICR, which is an IPI, come out in this order',
    source: PATCH,
    needs: [forwarding],
    run: (ctx) => checkOrder(ctx, [nth(0), nthSend(0)]),
  },
  {
    id: 'order.icr-icr2',
    claim: 'ICR and then ICR2 come out in this order',
    source: PATCH,
    needs: [forwarding],
    run: (ctx) => checkOrder(ctx, [nthSend(0), nth(0)]),
  },
  {
    id: 'order.burst.icr2',
    claim: '32 writes of ICR2 back to back come out in program order',
    source: PATCH,
    needs: [forwarding],
    run: (ctx) => checkOrder(ctx, range(32).map(nth)),
  },
  {
    id: 'order.burst.icr',
    claim: '31 writes of ICR back to back come out in program order',
    source: PATCH,
    needs: [forwarding],
    run: (ctx) => checkOrder(ctx, range(31).map(nthSend)),
  },
  {
    id: 'order.alternating',
    claim: 'Writes of ICR2 and ICR by turns come out in program order',
    source: PATCH,
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
    source: PATCH,
    needs: [forwarding],
    run: (ctx) => checkOrder(ctx, ctx.random.shuffled([...range(24).map(nth), ...range(24).map(nthSend)])),
  },
  {
    id: 'order.loop',
    claim: 'Writes of a loop, by one and the same instruction, come out in the order in which it ran',
    source: PATCH,
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
        told(driver.untilDone()).map(({ value }) => value),
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
    source: `${PATCH}; SDM vol. 2, HLT`,
    needs: [forwarding],
    async run(ctx) {
      const machine = await ctx.machine({ apic: 'xapic' });
      const vcpu = machine.vcpu(0);
      const [before, behind] = [write(nth(0)), write(nth(1))];
      vcpu.program(program([before, sti, hlt, behind]), { interrupts: false });
      // It waits until the guest lets interrupts in, with HLT.
      machine.signalMsi({ addressLo: APIC_DEFAULT_PHYS_BASE, addressHi: 0, data: VECTOR });
      const driver = new Driver(ctx, machine);
      driver.until(PRIMED_PORT);
      const seen = atFirst(driver, () => vcpu.interrupts.get(VECTOR) ?? 0);
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
      const machine = await ctx.machine({ apic: 'xapic' });
      const { shared } = machine;
      const code = range(count).flatMap((n) => [write(nth(n)), write32(shared, n + 1)]);
      machine.vcpu(0).program(program(code));
      const driver = new Driver(ctx, machine);
      driver.until(PRIMED_PORT);
      const seen = atFirst(driver, () => machine.memory.view.getUint32(shared, true));
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
    source: `${PATCH}; Documentation/virt/kvm/api.rst 4.87`,
    needs: [forwarding, steps],
    async run(ctx) {
      const writes = range(6).map((n) => (n % 2 === 0 ? nth(n) : nthSend(n)));
      const driver = await primed(ctx, writes.map(write));
      driver.vcpu.debug({ singleStep: true });
      const exits = driver.untilDone();
      sameRows('the writes', told(exits), writes);
      // The OUT that ends the program is the exit itself.
      const count = exits.filter(({ name }) => name === 'KVM_EXIT_DEBUG').length;
      ctx.ok(count >= writes.length, `${count} steps for ${writes.length} instructions that write`);
    },
  },
  {
    id: 'order.two-vcpus.turns',
    claim: "Of two vCPUs that are entered by turns, each one's writes come out in its program order",
    source: PATCH,
    needs: [forwarding],
    async run(ctx) {
      const machine = await ctx.machine({ apic: 'xapic', vcpus: 2 });
      const writes = [range(8).map(nth), range(8).map((n) => nth(20 + n))];
      const drivers = writes.map((own, id) => {
        machine.vcpu(id).program(program(own.map(write)));
        const driver = new Driver(ctx, machine, id);
        driver.until(PRIMED_PORT);
        return { driver, exits: [] as Exit[], own, over: false };
      });
      while (drivers.some(({ over }) => !over))
        for (const one of drivers.filter(({ over }) => !over)) {
          const exit = one.driver.next();
          one.over = exit.name === 'KVM_EXIT_IO' && exit.port === DONE_PORT;
          one.exits.push(exit);
        }
      for (const [id, { exits, own }] of drivers.entries()) sameRows(`the writes of vCPU ${id}`, told(exits), own);
    },
  },
];

export const order = subject('order', 'writes come out in program order', checks);
