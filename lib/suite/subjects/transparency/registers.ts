/** What makes no exit: every other register, every other size, every read. */

import { APIC_DEFAULT_PHYS_BASE, lapicRegisters, readLapicRegister } from '../../../abi/apic/lapic.ts';
import type { Exit } from '../../../exit/exit.ts';
import { flat32, type Instruction, mov32, out8, read32, store32, write16, write32 } from '../../../guest/bytes.ts';
import type { GuestCode } from '../../../guest/code.ts';
import type { Check } from '../../check.ts';
import { cmpMemory, movQwordAtRbx, read8, write8 } from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
import { DONE_PORT, runUntilDone } from '../../kit/guests.ts';
import { HOOK } from '../../kit/sources.ts';

const BASE = APIC_DEFAULT_PHYS_BASE;
const { ICR, ICR2, EOI, TPR, SVR } = lapicRegisters;

/** Runs a guest of vCPU 0 alone to its end: its exits before that, and what its local APIC holds then. */
async function observe(ctx: CheckContext, code: GuestCode) {
  const machine = await ctx.machine({ apic: 'xapic' });
  machine.vcpu(0).program(code);
  const exits = [...(await runUntilDone(machine))].slice(0, -1).map(({ exit }) => exit);
  return { exits, page: machine.vcpu(0).vcpu.getLapic(), machine };
}

/** Exits in words, a forwarded write by its register. */
const inWords = (exits: readonly Exit[]) =>
  exits.map((exit) => (exit.name === 'KVM_EXIT_DSM_SEND_IRQ' ? `write of 0x${exit.val.toString(16)}` : exit.name));

async function expectNoExit(ctx: CheckContext, instructions: readonly Instruction[]): Promise<void> {
  const { exits } = await observe(ctx, flat32(...instructions, out8(DONE_PORT)));
  ctx.equal('the exits', inWords(exits), []);
}

/** Every register's offset from one to another, 16 bytes apart. */
const offsets = (from: number, to: number) =>
  Array.from({ length: (to - from) / 16 + 1 }, (_, index) => from + index * 16);

/** The value keeps the local APIC enabled and starts no timer. */
const harmless = (offset: number) => write32(BASE + offset, offset === SVR ? 0x1ff : 0);

const writes: Check[] = (
  [
    ['eoi', 'EOI', [0, 1, 0xffff_ffff].map((value) => write32(BASE + EOI, value))],
    ['tpr', 'TPR', [0x10, 0xff, 0].map((value) => write32(BASE + TPR, value))],
    [
      'below-icr',
      'the registers from 0x000 to 0x2f0, EOI and TPR aside,',
      offsets(0, 0x2f0)
        .filter((offset) => offset !== EOI && offset !== TPR)
        .map(harmless),
    ],
    ['above-icr2', 'the registers from 0x320 to 0x3f0', offsets(0x320, 0x3f0).map(harmless)],
    ['rest-of-page', 'the rest of the APIC page, from 0x400 to 0xff0,', offsets(0x400, 0xff0).map(harmless)],
    [
      'lvt',
      'the local vector table with vectors and masks',
      offsets(0x320, 0x370).map((offset) => write32(BASE + offset, 0x1_00f0)),
    ],
    [
      'timer',
      'the timer that lets it run and stops it again',
      [
        write32(BASE + lapicRegisters.TDCR, 0xb),
        write32(BASE + lapicRegisters.LVT_TIMER, 0x1_00f0),
        write32(BASE + lapicRegisters.TMICT, 0x7fff_ffff),
        write32(BASE + lapicRegisters.TMICT, 0),
      ],
    ],
  ] as const
).map(([word, what, instructions]) => ({
  id: `transparency.no-exit.${word}`,
  claim: `Writes of ${what} make no exit`,
  source: `${HOOK}: ICR and ICR2 alone`,
  run: (ctx) => expectNoExit(ctx, instructions),
}));

/** 32 bits or less at each of these offsets from ICR and from ICR2. */
const unaligned = [4, 8, 12];

const sizes: Check[] = (
  [
    ['byte', 'Byte writes', flat32(write8(BASE + ICR2, 0x55), write8(BASE + ICR, 0x55), out8(DONE_PORT))],
    ['word', 'Word writes', flat32(write16(BASE + ICR2, 0x5555), write16(BASE + ICR, 0x4055), out8(DONE_PORT))],
    [
      'unaligned',
      '32-bit writes at 4, 8 and 12 bytes behind their begin',
      flat32(
        ...unaligned.flatMap((by) => [write32(BASE + ICR2 + by, 0x5500_0000), write32(BASE + ICR + by, 0x4055)]),
        out8(DONE_PORT),
      ),
    ],
    [
      'quadword',
      '64-bit writes',
      {
        mode: 'long64',
        bytes: flat32(mov32('ebx', BASE), movQwordAtRbx(ICR2, 0x5500_0000), movQwordAtRbx(ICR, 0x4055), out8(DONE_PORT))
          .bytes,
      } satisfies GuestCode,
    ],
  ] as const
).map(([word, what, code]) => ({
  id: `transparency.no-exit.${word}`,
  claim: `${what} to ICR2 and ICR make no exit and leave both as they were`,
  source: `${HOOK}: 4 bytes and aligned to 16; SDM vol. 3 11.4.1`,
  async run(ctx) {
    const { exits, page } = await observe(ctx, code);
    ctx.equal('the exits', inWords(exits), []);
    ctx.equal('ICR2 and ICR', [readLapicRegister(page, 'ICR2'), readLapicRegister(page, 'ICR')], [0, 0]);
  },
}));

const reads: Check[] = (
  [
    ['icr', 'ICR2 and ICR', [ICR2, ICR].flatMap((offset) => [read32(BASE + offset), cmpMemory(BASE + offset, 0)])],
    [
      'icr-bytes',
      'single bytes of ICR2 and ICR',
      [ICR2, ICR].flatMap((offset) => [0, 1, 2, 3].map((by) => read8(BASE + offset + by))),
    ],
    [
      'page',
      'the other registers from 0x000 to 0x3f0',
      offsets(0, 0x3f0)
        .filter((offset) => offset !== ICR && offset !== ICR2)
        .map((offset) => read32(BASE + offset)),
    ],
  ] as const
).map(([word, what, instructions]) => ({
  id: `transparency.no-exit.read-${word}`,
  claim: `Reads of ${what} make no exit`,
  source: `${HOOK}: writes alone`,
  run: (ctx) => expectNoExit(ctx, instructions),
}));

/** What a guest reads back: `mov [address], value; mov eax, [address]; mov [to], eax`. */
const writeAndRead = (offset: number, value: number, to: number): Instruction[] => [
  write32(BASE + offset, value),
  read32(BASE + offset),
  store32(to),
];

/** A guest writes values and reads each back. */
async function readBack(ctx: CheckContext, offset: number, values: readonly number[]): Promise<number[]> {
  const machine = await ctx.machine({ apic: 'xapic' });
  const code = values.flatMap((value, index) => writeAndRead(offset, value, machine.shared + index * 4));
  machine.vcpu(0).program(flat32(...code, out8(DONE_PORT)));
  await runUntilDone(machine);
  const bytes = machine.memory.read(machine.shared, values.length * 4);
  return [...new Uint32Array(bytes.slice().buffer)];
}

/** Each bit alone, each bit missing, and some more: every one of the 256 costs a second where the lab emulates. */
const eightBits = [0, 0xff, 0x55, 0xaa, ...Array.from({ length: 8 }, (_, bit) => [1 << bit, 0xff ^ (1 << bit)]).flat()];

const values: Check[] = [
  {
    id: 'transparency.read-back.icr2',
    claim: 'The guest reads back of ICR2 the destination that it wrote, and 0 in the rest',
    source: 'SDM vol. 3 11.6.1, figure 11-12',
    async run(ctx) {
      const written = eightBits.map((value) => ((value << 24) | 0x00ab_cdef) >>> 0);
      ctx.equal(
        'what was read',
        await readBack(ctx, ICR2, written),
        eightBits.map((value) => (value << 24) >>> 0),
      );
    },
  },
  {
    id: 'transparency.read-back.icr',
    claim: 'The guest reads back of ICR the vector that it wrote, and an idle delivery status',
    source: 'SDM vol. 3 11.6.1, figure 11-12',
    async run(ctx) {
      // Logical destination 0, which is nobody's; bit 12 is the delivery status.
      const written = eightBits.map((value) => 0x5800 | value);
      ctx.equal(
        'what was read',
        await readBack(ctx, ICR, written),
        eightBits.map((value) => 0x4800 | value),
      );
    },
  },
];

export const registerChecks: readonly Check[] = [...writes, ...sizes, ...reads, ...values];
