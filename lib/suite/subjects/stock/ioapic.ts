/** The IOAPIC, as a guest programs it: whom its pins reach, and what ends a level-triggered interrupt. */
import { flat32, type Instruction, nop, out8, read32, sti, store32, write32 } from '../../../guest/bytes.ts';
import type { Machine, MachineOptions } from '../../../script/machine/machine.ts';
import { type Check, table } from '../../check.ts';
import { jmpBack } from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
import { at, DONE_PORT, runUntilDone } from '../../kit/guests.ts';
import { fullIrqchip, hardwareVirtualization, splitIrqchip } from '../../kit/needs.ts';
import { reached, runSender, words } from '../../kit/senders.ts';

const IOREGSEL = 0xfec0_0000;
const IOWIN = 0xfec0_0010;
const IOAPIC_ID = 0;
const IOAPIC_VERSION = 1;
const VECTOR = 0x45;
/** No PIC has it. */
const PIN = 17;
/** KVM takes note of who has taken the clock's interrupt. */
const RTC_PIN = 8;
const LOWEST = 1 << 8;
const LOGICAL = 1 << 11;
const LEVEL = 1 << 15;
const IOAPIC = 'arch/x86/kvm/ioapic.c';
const DATASHEET = 'Intel 82093AA datasheet 3.2.4';

const writeIo = (register: number, value: number): Instruction[] => [
  write32(IOREGSEL, register),
  write32(IOWIN, value),
];
const keepIo = (register: number, to: number): Instruction[] => [
  write32(IOREGSEL, register),
  read32(IOWIN),
  store32(to),
];
const low = (pin: number): number => 0x10 + 2 * pin;
const high = (pin: number): number => low(pin) + 1;

/** A guest's entry for a pin: whom it reaches, and how. */
const entry = (destination: number, how = 0, pin = PIN): Instruction[] => [
  ...writeIo(high(pin), (destination << 24) >>> 0),
  ...writeIo(low(pin), how | VECTOR),
];

interface Pin {
  word: string;
  what: string;
  source: string;
  code: readonly Instruction[];
  /** Who may have got it. */
  expected: readonly (readonly number[])[];
  prepare?: (machine: Machine) => void;
}

const logicalIds = (...registers: readonly { LDR: number; DFR?: number }[]) => {
  return (machine: Machine): void =>
    registers.forEach((of, id) => {
      machine.vcpu(id).vcpu.setLapicRegisters({ DFR: 0xffff_ffff, ...of });
    });
};

const pins: readonly Pin[] = [
  {
    word: 'physical',
    what: 'to an APIC id reaches that vCPU alone',
    source: DATASHEET,
    code: entry(1),
    expected: [[1]],
  },
  {
    word: 'logical',
    what: 'to a logical destination reaches each vCPU that has one of its bits',
    source: DATASHEET,
    code: entry(0b110, LOGICAL),
    expected: [[1, 2]],
    prepare: logicalIds({ LDR: 0x100_0000 }, { LDR: 0x200_0000 }, { LDR: 0x400_0000 }),
  },
  {
    word: 'models',
    what: 'to a logical destination reaches whom it means by its own model, though not all vCPUs have the same',
    source: 'SDM vol. 3 11.6.2.2; arch/x86/kvm/lapic.c: kvm_apic_match_dest',
    code: entry(0x22, LOGICAL),
    expected: [[2]],
    prepare: logicalIds({ LDR: 0x100_0000 }, { LDR: 0x200_0000, DFR: 0x0fff_ffff }, { LDR: 0x2000_0000 }),
  },
  {
    word: 'moved',
    what: 'whose destination the guest has changed reaches the new one alone',
    source: `${DATASHEET}; ${IOAPIC}: ioapic_write_indirect`,
    code: [...entry(1), ...writeIo(high(PIN), 2 << 24)],
    expected: [[2]],
  },
  {
    word: 'lowest',
    what: 'of lowest priority reaches one of those that it names',
    source: `${DATASHEET}; SDM vol. 3 11.6.2.4`,
    code: entry(0b110, LOGICAL | LOWEST),
    expected: [[1], [2]],
    prepare: logicalIds({ LDR: 0x100_0000 }, { LDR: 0x200_0000 }, { LDR: 0x400_0000 }),
  },
];

const leave = out8(DONE_PORT);

/** A vCPU that has done so much first, and then takes interrupts, and leaves again and again. */
async function takesAll(ctx: CheckContext, code: readonly Instruction[], options: MachineOptions = {}) {
  const machine = await ctx.machine({ apic: 'xapic', ...options });
  machine.vcpu(0).program(flat32(...code, sti, leave, jmpBack(leave.length)), { interrupts: false });
  await runUntilDone(machine);
  return machine;
}

export const ioapicChecks: Check[] = [
  ...table(pins, ({ word, what, source, code, expected, prepare }) => ({
    id: `stock.ioapic.${word}`,
    claim: `A pin of the IOAPIC ${what}`,
    source,
    needs: [fullIrqchip],
    async run(ctx: CheckContext) {
      const machine = await runSender(ctx, code, { vcpus: 3 }, prepare);
      machine.irqLine(PIN, true);
      const got = reached(machine, VECTOR);
      const may = expected.map((ids) => ids.join(' '));
      ctx.ok(
        may.includes(got.join(' ')),
        `the vCPUs that it reached: ${got.join(' ') || 'none'}, not ${may.join(' or ')}`,
      );
    },
  })),
  {
    id: 'stock.ioapic.registers',
    claim: 'A guest reads from the IOAPIC the id and the entries that it wrote, and its version',
    source: 'Intel 82093AA datasheet 3.2',
    needs: [fullIrqchip],
    async run(ctx) {
      const machine = await runSender(ctx, ({ shared }) => [
        ...writeIo(IOAPIC_ID, 0x0500_0000),
        ...entry(0x77, LEVEL),
        ...keepIo(IOAPIC_ID, shared),
        ...keepIo(IOAPIC_VERSION, shared + 4),
        ...keepIo(low(PIN), shared + 8),
        ...keepIo(high(PIN), shared + 12),
      ]);
      ctx.equal('id, version, entry', words(machine, machine.shared, 4), [
        0x0500_0000,
        0x17_0011,
        LEVEL | VECTOR,
        0x7700_0000,
      ]);
    },
  },
  {
    id: 'stock.ioapic.level',
    claim: 'A level-triggered interrupt comes again after each EOI while its line is up, and no more when it is down',
    source: `SDM vol. 3 11.8.5; ${IOAPIC}: kvm_ioapic_update_eoi_one`,
    needs: [fullIrqchip, hardwareVirtualization],
    async run(ctx) {
      const machine = await takesAll(ctx, entry(0, LEVEL));
      machine.irqLine(PIN, true);
      await machine.run({ until: { handled: VECTOR, vcpu: 0, count: 3 } });
      machine.irqLine(PIN, false);
      const counts: (number | undefined)[] = [];
      for (let left = 0; left < 3; left++) {
        await runUntilDone(machine);
        counts.push(machine.vcpu(0).interrupts.get(VECTOR));
      }
      // One may have waited when the line went down.
      ctx.equal('interrupts at two exits of the guest, the line being down', counts[1], counts[2]);
    },
  },
  {
    id: 'stock.ioapic.rtc',
    claim: "The clock's interrupt is told as coalesced until the guest has ended the one before",
    source: `Documentation/virt/kvm/api.rst: KVM_IRQ_LINE_STATUS; ${IOAPIC}: rtc_irq_check_coalesced`,
    needs: [fullIrqchip, hardwareVirtualization],
    async run(ctx) {
      // Without the PIC, which has that pin as well.
      const machine = await takesAll(ctx, [write32(at('LVT_LINT0'), 1 << 16), ...entry(0, 0, RTC_PIN)]);
      const { vm } = machine;
      const pulse = () => {
        const status = vm.irqLineStatus(RTC_PIN, true);
        vm.irqLineStatus(RTC_PIN, false);
        // How often is told of all controllers of the line together.
        return typeof status === 'string' ? status : 'delivered';
      };
      const waiting = [pulse(), pulse()];
      await machine.run({ until: { handled: VECTOR, vcpu: 0, count: 1 } });
      ctx.equal('before its EOI, and after', [...waiting, pulse()], ['delivered', 'coalesced', 'delivered']);
    },
  },
  {
    id: 'stock.ioapic.split',
    claim: "Where the IOAPIC is user space's, the EOI of a level-triggered interrupt is an exit with its vector",
    source: 'Documentation/virt/kvm/api.rst: KVM_EXIT_IOAPIC_EOI',
    needs: [splitIrqchip, hardwareVirtualization],
    async run(ctx) {
      const machine = await ctx.machine({ apic: 'xapic', irqchip: 'split' });
      machine.vm.setGsiRouting([{ type: 'msi', gsi: PIN, addressLo: 0xfee0_0000, data: LEVEL | (1 << 14) | VECTOR }]);
      machine.vcpu(0).program(flat32(nop, nop, nop, out8(DONE_PORT)));
      machine.irqLine(PIN, true);
      const trace = await runUntilDone(machine);
      ctx.equal(
        'the vectors of the exits',
        trace.named('KVM_EXIT_IOAPIC_EOI').map(({ exit }) => exit.vector),
        [VECTOR],
      );
    },
  },
];
