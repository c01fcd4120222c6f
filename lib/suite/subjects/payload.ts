/** What stands in kvm_run's lapic_irq behind a guest's ICR or ICR2 write. */
import { encodeIcr, encodeIcr2, type Icr, type IcrFields } from '../../abi/apic/icr.ts';
import type { lapicRegisters } from '../../abi/apic/lapic.ts';
import { flat32, type Instruction, mov32, out8, store32, write32 } from '../../guest/bytes.ts';
import { type Check, subject, table } from '../check.ts';
import type { CheckContext } from '../kit/context.ts';
import { Driver } from '../kit/drive.ts';
import { type ForwardedExit, forwardedExits, sameRows, withoutRepeats, writeOf } from '../kit/forwarded-writes.ts';
import { at, DONE_PORT, icr, icr2, type LapicWrite, lapicWriter } from '../kit/guests.ts';
import { forwarding } from '../kit/needs.ts';
import { HOOK } from '../kit/sources.ts';
import { range } from '../kit/writers.ts';

const HEADER = 'patch 1/3, include/uapi/linux/kvm.h: lapic_irq';
const ICR_FIELDS = `${HOOK}; SDM vol. 3 11.6.1`;
/** No vCPU has it: what is sent there changes nothing. */
const ABSENT = 0x77;
/** For what has a row for each of 256. */
const TABLE = '60s';
/** No exception, and no vector of the PIC. */
const VECTOR = 0xf0;
/** Where a guest leaves behind a first write that no claim is about. */
const PRIMED_PORT = 0x11;
/** Written first; its destination is 0, as it is after reset. */
const PRIME = 0x00c0_ffee;
const ICR2_ADDRESS = at('ICR2');

const toAbsent = icr2(encodeIcr2({ destination: ABSENT }));
const send = (fields: IcrFields): LapicWrite => icr(encodeIcr(fields));

interface Setup {
  vcpus?: number;
  /** Of vCPU 0, before it runs. */
  registers?: Partial<Record<keyof typeof lapicRegisters, number>>;
}

/**
 * What a machine of its own tells of the last of these instructions' writes: behind a write that no claim is about, and
 * each once.
 */
async function noticesOf(ctx: CheckContext, code: readonly Instruction[], setup: Setup = {}): Promise<ForwardedExit[]> {
  const machine = await ctx.machine({ apic: 'xapic', vcpus: setup.vcpus ?? 1 });
  const { vcpu } = machine.vcpu(0);
  if (setup.registers) vcpu.setLapicRegisters(setup.registers);
  machine.vcpu(0).program(flat32(write32(ICR2_ADDRESS, PRIME), out8(PRIMED_PORT), ...code, out8(DONE_PORT)));
  const driver = new Driver(ctx, machine);
  driver.until(PRIMED_PORT);
  const notices = forwardedExits(driver.untilDone()).filter(({ val, val2 }) => val !== PRIME && val2 !== PRIME);
  return withoutRepeats(notices);
}

/** As `noticesOf`, of plain writes. */
function forwarded(ctx: CheckContext, writes: readonly LapicWrite[], setup: Setup = {}): Promise<ForwardedExit[]> {
  return noticesOf(
    ctx,
    writes.map(({ register, value }) => write32(at(register), value)),
    setup,
  );
}

const of = (register: 'ICR' | 'ICR2', exits: readonly ForwardedExit[]) =>
  exits.filter((exit) => writeOf(exit)?.register === register);

/** That val2 of ICR writes has a field's bits as they were written, whatever the other bits are. */
async function checkField(
  ctx: CheckContext,
  { what, mask, writes, setup }: { what: string; mask: number; writes: readonly LapicWrite[]; setup?: Setup },
): Promise<void> {
  const exits = await forwarded(ctx, [toAbsent, ...writes], setup);
  sameRows(
    `${what} in val2 of the ICR writes`,
    of('ICR', exits).map(({ val2 }) => (val2 & mask) >>> 0),
    writes.map(({ value }) => (value & mask) >>> 0),
  );
}

const deliveryModes = [
  ['fixed', 'fixed'],
  ['lowest-priority', 'lowestPriority'],
  ['smi', 'smi'],
  ['reserved-3', 'reserved3'],
  ['nmi', 'nmi'],
  ['init', 'init'],
  ['start-up', 'startUp'],
  ['reserved-7', 'reserved7'],
] as const;

const shorthands = [
  ['none', 'none'],
  ['self', 'self'],
  ['all', 'allIncludingSelf'],
  ['others', 'allExcludingSelf'],
] as const;

const destinationModes = ['physical', 'logical'] as const;
const levels = ['deassert', 'assert'] as const;
const triggers = ['edge', 'level'] as const;

const everyCommand: Partial<Icr>[] = deliveryModes.flatMap(([, deliveryMode]) =>
  destinationModes.flatMap((destinationMode) =>
    levels.flatMap((level) => triggers.map((trigger) => ({ deliveryMode, destinationMode, level, trigger }))),
  ),
);

interface Destination {
  word: string;
  claim: string;
  destination: number;
  mode?: Icr['destinationMode'];
  setup?: Setup;
}

const destinations: Destination[] = [
  { word: 'absent', claim: 'An IPI to an APIC id that no vCPU has comes out', destination: ABSENT },
  { word: 'itself', claim: 'An IPI to the APIC id of the vCPU that sends it comes out', destination: 0 },
  {
    word: 'other',
    claim: 'An IPI to the APIC id of another vCPU of the VM comes out',
    destination: 1,
    setup: { vcpus: 2 },
  },
  { word: 'broadcast', claim: 'An IPI to 0xff, which is everyone, comes out', destination: 0xff },
  {
    word: 'logical-present',
    claim: 'An IPI to a logical id that a vCPU of the VM has comes out',
    destination: 0x01,
    mode: 'logical',
    setup: { registers: { DFR: 0xffff_ffff, LDR: 0x0100_0000 } },
  },
  {
    word: 'logical-absent',
    claim: 'An IPI to a logical id that no vCPU has comes out',
    destination: 0x80,
    mode: 'logical',
  },
];

const VALUE = 0x7700_0000;
/** Where `movsd` takes its value from, in the program's own page: it is that instruction's operand. */
const le32 = (value: number) => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];

/** Instructions that write VALUE to ICR2, each in a way of its own. */
const instructions: { word: string; what: string; code: (ram: number) => Instruction[] }[] = [
  {
    word: 'mov-register',
    what: 'mov from a register',
    code: () => [mov32('ebx', VALUE), Uint8Array.of(0x89, 0x1d, ...le32(ICR2_ADDRESS))],
  },
  { word: 'mov-eax', what: 'the short form of mov from eax', code: () => [mov32('eax', VALUE), store32(ICR2_ADDRESS)] },
  {
    word: 'stosd',
    what: 'stosd',
    code: () => [mov32('edi', ICR2_ADDRESS), mov32('eax', VALUE), Uint8Array.of(0xab)],
  },
  {
    word: 'movsd',
    what: 'movsd from memory',
    code: (ram) => [write32(ram, VALUE), mov32('esi', ram), mov32('edi', ICR2_ADDRESS), Uint8Array.of(0xa5)],
  },
  {
    word: 'push',
    what: 'push',
    code: () => [mov32('esp', ICR2_ADDRESS + 4), Uint8Array.of(0x68, ...le32(VALUE))],
  },
  {
    word: 'pop',
    what: 'pop to memory',
    code: () => [Uint8Array.of(0x68, ...le32(VALUE)), Uint8Array.of(0x8f, 0x05, ...le32(ICR2_ADDRESS))],
  },
  {
    word: 'xchg',
    what: 'xchg, which reads and writes',
    code: () => [mov32('ebx', VALUE), Uint8Array.of(0x87, 0x1d, ...le32(ICR2_ADDRESS))],
  },
  {
    word: 'or',
    what: 'or, which reads and writes',
    code: () => [Uint8Array.of(0x81, 0x0d, ...le32(ICR2_ADDRESS), ...le32(VALUE))],
  },
  {
    word: 'movnti',
    what: 'movnti',
    code: () => [mov32('ebx', VALUE), Uint8Array.of(0x0f, 0xc3, 0x1d, ...le32(ICR2_ADDRESS))],
  },
];

/** `mov eax, ICR2; mov dword [rax], VALUE; out DONE, al`, in 64-bit mode. */
const longMode = Uint8Array.of(0xb8, ...le32(ICR2_ADDRESS), 0xc7, 0x00, ...le32(VALUE), 0xe6, DONE_PORT);

const checks: Check[] = [
  {
    id: 'payload.reason',
    claim: 'The exit has the reason 45, KVM_EXIT_DSM_SEND_IRQ',
    source: 'patch 1/3, include/uapi/linux/kvm.h',
    needs: [forwarding],
    async run(ctx) {
      const machine = await ctx.machine({ apic: 'xapic' });
      machine.vcpu(0).program(lapicWriter([icr2(PRIME), toAbsent, send({ vector: VECTOR })]));
      const reasons = new Driver(ctx, machine).untilDone().map(({ reason }) => reason);
      ctx.equal('the set of reasons before the end', [...new Set(reasons)], [45]);
    },
  },
  {
    id: 'payload.val.register',
    claim: 'val is the offset of the register that was written: 0x310 for ICR2, 0x300 for ICR',
    source: `${HEADER}; ${HOOK}`,
    needs: [forwarding],
    async run(ctx) {
      const exits = await forwarded(ctx, [toAbsent, send({ vector: VECTOR })]);
      ctx.equal(
        'val of the two exits',
        exits.map(({ val }) => val),
        [0x310, 0x300],
      );
    },
  },
  ...table(['ICR2', 'ICR'] as const, (register) => ({
    id: `payload.${register.toLowerCase()}.id`,
    claim: `id of an ${register} write is the vcpu_id of the vCPU that wrote, whatever the destination`,
    source: `${HEADER}; patch 2/3, arch/x86/kvm/x86.c: vcpu_enter_guest`,
    needs: [forwarding],
    async run(ctx: CheckContext) {
      const writes = [1, ABSENT, 0x40].map((destination) => icr2(encodeIcr2({ destination })));
      // With a logical id that no vCPU has: nothing is delivered.
      const nothing = send({ vector: VECTOR, destinationMode: 'logical' });
      const exits = of(
        register,
        await forwarded(
          ctx,
          writes.flatMap((write) => [write, nothing]),
          { vcpus: 2 },
        ),
      );
      ctx.ok(exits.length > 0, `no write of ${register} came out`);
      ctx.equal('the set of ids', [...new Set(exits.map(({ id }) => id))], [0]);
    },
  })),
  {
    id: 'payload.icr.vector',
    claim: 'val2 carries the vector of an ICR write, for each of the 256',
    source: ICR_FIELDS,
    deadline: TABLE,
    needs: [forwarding],
    run: (ctx) =>
      checkField(ctx, { what: 'the vectors', mask: 0xff, writes: range(256).map((vector) => send({ vector })) }),
  },
  ...table(deliveryModes, ([word, deliveryMode]) => ({
    id: `payload.icr.delivery-mode.${word}`,
    claim: `val2 carries delivery mode ${word}`,
    source: ICR_FIELDS,
    needs: [forwarding],
    run: (ctx: CheckContext) =>
      checkField(ctx, { what: 'the delivery mode', mask: 0x700, writes: [send({ vector: VECTOR, deliveryMode })] }),
  })),
  {
    id: 'payload.icr.destination-mode',
    claim: 'val2 carries the destination mode: physical or logical',
    source: ICR_FIELDS,
    needs: [forwarding],
    run: (ctx) =>
      checkField(ctx, {
        what: 'the destination modes',
        mask: 1 << 11,
        writes: destinationModes.map((destinationMode, at) => send({ vector: VECTOR + at, destinationMode })),
      }),
  },
  {
    id: 'payload.icr.level',
    claim: 'val2 carries the level: de-assert or assert',
    source: ICR_FIELDS,
    needs: [forwarding],
    run: (ctx) =>
      checkField(ctx, {
        what: 'the levels',
        mask: 1 << 14,
        writes: levels.map((level, at) => send({ vector: VECTOR + at, level })),
      }),
  },
  {
    id: 'payload.icr.trigger',
    claim: 'val2 carries the trigger mode: edge or level',
    source: ICR_FIELDS,
    needs: [forwarding],
    run: (ctx) =>
      checkField(ctx, {
        what: 'the trigger modes',
        mask: 1 << 15,
        writes: triggers.map((trigger, at) => send({ vector: VECTOR + at, trigger })),
      }),
  },
  ...table(shorthands, ([word, shorthand]) => ({
    id: `payload.icr.shorthand.${word}`,
    claim: `val2 carries the destination shorthand ${word}`,
    source: ICR_FIELDS,
    needs: [forwarding],
    run: (ctx: CheckContext) =>
      checkField(ctx, { what: 'the shorthand', mask: 3 << 18, writes: [send({ vector: VECTOR, shorthand })] }),
  })),
  {
    id: 'payload.icr.fields',
    claim: 'val2 carries every combination of delivery mode, destination mode, level and trigger mode',
    source: ICR_FIELDS,
    needs: [forwarding],
    run: (ctx) =>
      checkField(ctx, {
        what: 'the fields',
        mask: 0xcf00,
        writes: everyCommand.map((fields, at) => send({ vector: 0x80 + at, ...fields })),
      }),
  },
  {
    id: 'payload.icr.reserved',
    claim: 'val2 carries each reserved bit of ICR as it was written',
    source: `${HOOK}: the value is taken before KVM looks at it`,
    needs: [forwarding],
    run: (ctx) => {
      const bits = [13, 16, 17, ...range(12).map((bit) => 20 + bit)].map((bit) => 2 ** bit);
      return checkField(ctx, {
        what: 'the reserved bits',
        mask: 0xfff3_2000,
        writes: bits.map((reserved) => send({ vector: VECTOR, reserved })),
      });
    },
  },
  {
    id: 'payload.icr.delivery-status',
    claim: 'val2 carries the delivery status bit of ICR as it was written, which the register does not keep',
    source: `${HOOK}: the value is taken before KVM looks at it`,
    needs: [forwarding],
    run: (ctx) =>
      checkField(ctx, {
        what: 'the delivery status',
        mask: 1 << 12,
        writes: [send({ vector: VECTOR, deliveryStatus: 'sendPending' })],
      }),
  },
  {
    id: 'payload.icr2.value',
    claim: 'val2 carries the destination of an ICR2 write, for each of the 256',
    source: ICR_FIELDS,
    deadline: TABLE,
    needs: [forwarding],
    async run(ctx) {
      const values = range(256).map((destination) => encodeIcr2({ destination }));
      const exits = await forwarded(ctx, values.map(icr2));
      sameRows(
        'bits 31:24 in val2 of the ICR2 writes',
        exits.map(({ val2 }) => (val2 & 0xff00_0000) >>> 0),
        values,
      );
    },
  },
  {
    id: 'payload.icr2.reserved',
    claim: 'val2 carries each reserved bit of ICR2 as it was written, which the register does not keep',
    source: `${HOOK}: the value is taken before KVM looks at it`,
    needs: [forwarding],
    async run(ctx) {
      const values = range(24).map((bit) => encodeIcr2({ destination: ABSENT, reserved: 2 ** bit }));
      const exits = await forwarded(ctx, values.map(icr2));
      sameRows(
        'bits 23:0 in val2 of the ICR2 writes',
        exits.map(({ val2 }) => val2 & 0xff_ffff),
        values.map((value) => value & 0xff_ffff),
      );
    },
  },
  {
    id: 'payload.icr2.destination',
    claim: 'dest_id is bits 31:24 of the value that was written to ICR2, for each of the 256',
    source: ICR_FIELDS,
    deadline: TABLE,
    needs: [forwarding],
    async run(ctx) {
      const exits = await forwarded(
        ctx,
        range(256).map((destination) => icr2(encodeIcr2({ destination }))),
      );
      sameRows(
        'dest_id of the ICR2 writes',
        exits.map(({ destId }) => destId),
        range(256),
      );
    },
  },
  {
    id: 'payload.icr2.destination.only',
    claim: 'dest_id of an ICR2 write has nothing of the reserved bits 23:0',
    source: ICR_FIELDS,
    needs: [forwarding],
    async run(ctx) {
      // The first write gives the register its destination: what is asked is not which write dest_id is of. The ICR
      // writes, to nobody, tell one from the next.
      const nothing = send({ vector: VECTOR, destinationMode: 'logical' });
      const writes = [0xff_ffff, 0xff, 0x80_0000].map((reserved) => encodeIcr2({ destination: ABSENT, reserved }));
      const exits = await forwarded(ctx, [toAbsent, ...writes.flatMap((value) => [nothing, icr2(value)])]);
      sameRows(
        'dest_id of the ICR2 writes with reserved bits',
        of('ICR2', exits)
          .slice(1)
          .map(({ destId }) => destId),
        [ABSENT, ABSENT, ABSENT],
      );
    },
  },
  {
    id: 'payload.icr.dest-id',
    claim: 'dest_id of an ICR write is bits 31:24 of ICR2, for each of the 256',
    source: ICR_FIELDS,
    deadline: TABLE,
    needs: [forwarding],
    async run(ctx) {
      const exits = await forwarded(
        ctx,
        range(256).flatMap((destination) => [
          icr2(encodeIcr2({ destination })),
          // With a logical id that no vCPU has: nothing is delivered.
          send({ vector: VECTOR, destinationMode: 'logical' }),
        ]),
        { registers: { DFR: 0xffff_ffff, LDR: 0 } },
      );
      sameRows(
        'dest_id of the ICR writes',
        of('ICR', exits).map(({ destId }) => destId),
        range(256),
      );
    },
  },
  {
    id: 'payload.icr.dest-id.kept',
    claim: 'dest_id of a second ICR write is still that of the ICR2 write before the first',
    source: ICR_FIELDS,
    needs: [forwarding],
    async run(ctx) {
      const exits = await forwarded(ctx, [toAbsent, send({ vector: VECTOR }), send({ vector: VECTOR + 1 })]);
      ctx.equal(
        'dest_id of the two ICR writes',
        of('ICR', exits).map(({ destId }) => destId),
        [ABSENT, ABSENT],
      );
    },
  },
  {
    id: 'payload.icr.dest-id.initial',
    claim: 'dest_id of an ICR write is 0 as long as ICR2 is 0',
    source: `${ICR_FIELDS}; SDM vol. 3 11.4.7.1: ICR2 is 0 after reset`,
    needs: [forwarding],
    async run(ctx) {
      const machine = await ctx.machine({ apic: 'xapic' });
      const logical = { destinationMode: 'logical' } as const;
      // The first one is no more than the vCPU's first write.
      machine.vcpu(0).program(lapicWriter([0, 1, 2].map((at) => send({ vector: VECTOR + at, ...logical }))));
      const exits = withoutRepeats(forwardedExits(new Driver(ctx, machine).untilDone()));
      ctx.equal(
        'dest_id of the last two writes',
        exits.slice(-2).map(({ destId }) => destId),
        [0, 0],
      );
    },
  },
  ...table(destinations, ({ word, claim, destination, mode = 'physical', setup = {} }) => ({
    id: `payload.icr.destination.${word}`,
    claim,
    source: `${HOOK}: it does not look at the destination`,
    needs: [forwarding],
    async run(ctx: CheckContext) {
      const exits = await forwarded(
        ctx,
        [icr2(encodeIcr2({ destination })), send({ vector: VECTOR, destinationMode: mode })],
        setup,
      );
      ctx.equal('the number of exits for the ICR write', of('ICR', exits).length, 1);
    },
  })),
  ...table(instructions, ({ word, what, code }) => ({
    id: `payload.instruction.${word}`,
    claim: `A write of ICR2 by ${what} comes out with the value that was written`,
    source: `${HOOK}: every write that KVM emulates ends there`,
    needs: [forwarding],
    async run(ctx: CheckContext) {
      checkWritten(ctx, await noticesOf(ctx, code(SCRATCH)));
    },
  })),
  {
    id: 'payload.instruction.long-mode',
    claim: 'A write of ICR2 in 64-bit mode comes out with the value that was written',
    source: `${HOOK}: every write that KVM emulates ends there`,
    needs: [forwarding],
    async run(ctx) {
      const machine = await ctx.machine({ apic: 'xapic' });
      const first = [0xb8, ...le32(ICR2_ADDRESS), 0xc7, 0x00, ...le32(PRIME), 0xe6, PRIMED_PORT];
      machine.vcpu(0).program({ mode: 'long64', bytes: Uint8Array.of(...first, ...longMode) });
      const driver = new Driver(ctx, machine);
      driver.until(PRIMED_PORT);
      const exits = forwardedExits(driver.untilDone());
      checkWritten(ctx, withoutRepeats(exits.filter(({ val, val2 }) => val !== PRIME && val2 !== PRIME)));
    },
  },
];

/** In the program's own memory, behind every program of this file. */
const SCRATCH = 0x8000;

function checkWritten(ctx: CheckContext, exits: readonly ForwardedExit[]): void {
  ctx.equal(
    'the values that came out',
    exits.flatMap((exit) => writeOf(exit)?.value ?? []),
    [VALUE],
  );
}

export const payload = subject('payload', 'the fields of lapic_irq', checks);
