/** Hyper-V's SynIC: KVM has its registers and delivers its interrupts, user space has its pages. */
import { encodeSint, hypervMsrs, SINTS, type Sint } from '../../abi/hyperv.ts';
import type { Exit } from '../../exit/decode.ts';
import { flat32, type Instruction, nop, out8, read32, store32, write32 } from '../../guest/bytes.ts';
import { connectSints, type SintLine } from '../../hyperv/sint-line.ts';
import type { Machine, MachineOptions } from '../../script/machine/machine.ts';
import type { ProgramOptions } from '../../script/machine/vcpu.ts';
import { type Check, subject, table } from '../check.ts';
import type { CheckContext } from '../kit/context.ts';
import { Driver } from '../kit/drive.ts';
import { DONE_PORT, icr, icr2, runUntilDone, writeInstruction } from '../kit/guests.ts';
import { capability, forwarding, parameterOn } from '../kit/needs.ts';
import { words, writeMsr } from '../kit/senders.ts';
import { OTHER_PORT, range } from '../kit/writers.ts';

const HYPERV = 'arch/x86/kvm/hyperv.c';
const TLFS = 'Hyper-V TLFS, Synthetic Interrupt Controller';
const API = 'Documentation/virt/kvm/api.rst';
const LONG = '30s';

const offered = capability('KVM_CAP_HYPERV_SYNIC2');
const { SCONTROL, SIMP, SIEFP, EOM, SINT0 } = hypervMsrs;

const setSint = (sint: number, fields: Sint) => writeMsr(SINT0 + sint, encodeSint(fields));
const vectorOf = (sint: number) => 0x41 + 0xb * sint;
const allSints = range(SINTS);

interface Prepared {
  machine: Machine;
  drivers: readonly Driver[];
  /** What the vCPUs made before their turn was over. */
  exits: readonly Exit[];
}

/** Where the check has its turn: an interrupt that it signals is taken right behind it. */
const pause = out8(DONE_PORT);

/** A machine whose vCPUs have run up to their `pause`, or to their end if they have none. */
async function prepared(
  ctx: CheckContext,
  codes: readonly (readonly Instruction[])[],
  options: MachineOptions & { program?: (machine: Machine) => ProgramOptions } = {},
): Promise<Prepared> {
  const { program, ...rest } = options;
  const machine = await ctx.machine({ vcpus: codes.length, apic: 'xapic', synic: 'keep', ...rest });
  const exits: Exit[] = [];
  const drivers = codes.map((code, id) => {
    machine.vcpu(id).program(flat32(...code, nop, nop, out8(OTHER_PORT)), program?.(machine));
    const driver = new Driver(ctx, machine, id);
    exits.push(...driver.until(code.includes(pause) ? DONE_PORT : OTHER_PORT));
    return driver;
  });
  return { machine, drivers, exits };
}

/** On with a vCPU that waits at `pause`, up to its end. */
const goOn = ({ drivers }: Prepared, vcpu = 0) => drivers[vcpu]!.until(OTHER_PORT);

const hypervExits = ({ exits }: Prepared) =>
  exits.flatMap((exit) => (exit.name === 'KVM_EXIT_HYPERV' ? exit.synic : []));

const forwarded = (exits: readonly Exit[]) => exits.filter(({ name }) => name === 'KVM_EXIT_DSM_SEND_IRQ').length;

/** One line of each vCPU for this SINT. They are taken away behind the check. */
function linesOf(ctx: CheckContext, machine: Machine, sints: readonly number[]): SintLine[] {
  const ends = machine.vcpus.flatMap((vcpu) => sints.map((sint) => ({ synic: vcpu.synic, sint })));
  return connectSints(machine.vm, ends).map((line) => ctx.own(line));
}

const acknowledged = (line: SintLine) => Number(line.acknowledged?.read() ?? 0n);

/** Counts #GP at `shared` and goes on behind the instruction, which has two bytes: WRMSR. */
function countFaults({ memory, shared }: Machine): ProgramOptions {
  const at = shared + 0x100;
  const [a, b, c, d] = [shared & 0xff, (shared >> 8) & 0xff, (shared >> 16) & 0xff, shared >>> 24];
  // inc dword [shared]; add esp, 4; add dword [esp], 2; iretd
  memory.write(at, Uint8Array.of(0xff, 0x05, a, b, c, d, 0x83, 0xc4, 0x04, 0x83, 0x04, 0x24, 0x02, 0xcf));
  return { handlers: { 13: at } };
}

const faultsOf = (machine: Machine) => words(machine, machine.shared, 1)[0];

const pages = [
  ['zero', 'KVM_CAP_HYPERV_SYNIC clears a page when the guest enables it', 'KVM_CAP_HYPERV_SYNIC', 0],
  ['keep', 'KVM_CAP_HYPERV_SYNIC2 leaves a page as it is when the guest enables it', 'KVM_CAP_HYPERV_SYNIC2', 0xa5],
] as const;

const registers: Check[] = [
  {
    id: 'synic.registers.initial',
    claim: 'A new SynIC has SCONTROL enabled, both pages disabled and every SINT masked',
    source: `${HYPERV}: kvm_hv_activate_synic, synic_init`,
    needs: [offered],
    async run(ctx) {
      const machine = await ctx.machine({ synic: 'keep' });
      const { sints, ...rest } = machine.vcpu(0).synic.registers();
      ctx.effect('registers read', sints.length);
      ctx.equal('the registers', rest, { enabled: true, version: 1n, messagePage: null, eventPage: null });
      ctx.equal(
        'the SINTs',
        sints,
        allSints.map(() => ({ vector: 0, masked: true, autoEoi: false })),
      );
    },
  },
  {
    id: 'synic.registers.vp-index',
    claim: 'The VP index of a vCPU is its place in the order of their making',
    source: `${TLFS}: HV_X64_MSR_VP_INDEX; ${HYPERV}: kvm_hv_vcpu_init`,
    needs: [offered, capability('KVM_CAP_HYPERV_VP_INDEX')],
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 3, synic: 'keep' });
      const indices = machine.vcpus.map((vcpu) => vcpu.synic.vpIndex);
      ctx.effect('registers read', indices.length);
      ctx.equal('the VP indices', indices, [0, 1, 2]);
    },
  },
  ...table(
    [
      ['scontrol', 'SCONTROL', SCONTROL, 0n],
      ['simp', 'SIMP', SIMP, 0x5001n],
      ['siefp', 'SIEFP', SIEFP, 0x6001n],
    ] as const,
    ([word, name, msr, value]) => ({
      id: `synic.exit.${word}`,
      claim: `A guest's write of ${name} comes out as KVM_EXIT_HYPERV of type 1, with all three registers`,
      source: `${API} 5: KVM_EXIT_HYPERV; ${HYPERV}: synic_exit`,
      needs: [offered],
      async run(ctx: CheckContext) {
        const guest = await prepared(ctx, [writeMsr(msr, value)]);
        ctx.equal('the exits', hypervExits(guest), [
          {
            msr,
            control: msr === SCONTROL ? value : 1n,
            evtPage: msr === SIEFP ? value : 0n,
            msgPage: msr === SIMP ? value : 0n,
          },
        ]);
      },
    }),
  ),
  {
    id: 'synic.exit.others',
    claim: "A guest's writes of EOM and of each SINT make no exit",
    source: `${HYPERV}: synic_set_msr`,
    needs: [offered],
    async run(ctx) {
      const code = [...writeMsr(EOM, 0n), ...allSints.flatMap((sint) => setSint(sint, { vector: vectorOf(sint) }))];
      const guest = await prepared(ctx, [code]);
      const { machine } = guest;
      ctx.equal('the exits', hypervExits(guest), []);
      ctx.equal(
        'the vectors of the SINTs',
        machine.vcpu(0).synic.registers().sints,
        allSints.map((sint) => ({ vector: vectorOf(sint), masked: false, autoEoi: false })),
      );
    },
  },
  ...table(pages, ([mode, claim, cap, byte]) => ({
    id: `synic.pages.${mode}`,
    claim,
    source: `${API}: ${cap}`,
    needs: [capability(cap)],
    async run(ctx: CheckContext) {
      const machine = await ctx.machine({ apic: 'xapic', synic: mode });
      const { shared, memory } = machine;
      memory.bytes.fill(0xa5, shared, shared + 0x2000);
      const code = [...writeMsr(SIMP, BigInt(shared + 1)), ...writeMsr(SIEFP, BigInt(shared + 0x1001))];
      machine.vcpu(0).program(flat32(...code, out8(DONE_PORT)));
      await runUntilDone(machine);
      const others = memory.read(shared, 0x2000).filter((value) => value !== byte);
      ctx.equal('the number of bytes with another value', others.length, 0);
    },
  })),
  {
    id: 'synic.inactive',
    claim: 'Without SynIC a write of a SINT is a general protection fault, though CPUID shows Hyper-V',
    source: `${HYPERV}: synic_set_msr`,
    needs: [offered, capability('KVM_CAP_SYS_HYPERV_CPUID')],
    async run(ctx) {
      const hyperv = ctx.kvm().supportedHvCpuid();
      const cpuid: MachineOptions['cpuid'] = (own) => [
        ...own.filter(({ function: leaf }) => leaf >>> 8 !== 0x40_0000),
        ...hyperv,
      ];
      const machine = await ctx.machine({ apic: 'xapic', cpuid });
      const code = setSint(3, { vector: 0x43 });
      machine.vcpu(0).program(flat32(...code, out8(DONE_PORT)), countFaults(machine));
      await runUntilDone(machine);
      ctx.equal('the number of #GP', faultsOf(machine), 1);
    },
  },
];

const sints: Check[] = [
  {
    id: 'synic.sint.delivers',
    claim: 'Each of the 16 SINTs of each vCPU delivers its vector, once, to that vCPU alone',
    source: `${TLFS}: SINTx; ${HYPERV}: synic_set_irq; ${API} 4.52: KVM_IRQ_ROUTING_HV_SINT`,
    deadline: LONG,
    needs: [offered],
    async run(ctx) {
      const code = [...allSints.flatMap((sint) => setSint(sint, { vector: vectorOf(sint) })), pause];
      const guest = await prepared(ctx, [code, code]);
      const { machine } = guest;
      for (const line of linesOf(ctx, machine, allSints)) {
        const before = machine.vcpus.map(({ vcpu }) => vcpu.lapic().irr);
        line.signal();
        const irr = before.map((was, id) => (id === line.synic.vpIndex ? [...was, vectorOf(line.sint)] : was));
        const name = `requested vectors behind SINT ${line.sint} of VP ${line.synic.vpIndex}`;
        ctx.equal(
          name,
          machine.vcpus.map(({ vcpu }) => vcpu.lapic().irr),
          irr,
        );
      }
      for (const { id } of machine.vcpus) {
        goOn(guest, id);
        const taken = [...machine.vcpu(id).interrupts];
        ctx.equal(
          `how often vCPU ${id} took each vector`,
          taken,
          allSints.map((sint) => [vectorOf(sint), 1]),
        );
      }
    },
  },
  {
    id: 'synic.sint.masked',
    claim: 'A masked SINT delivers nothing, and nothing of it comes when it is unmasked',
    source: `${TLFS}: SINTx; ${HYPERV}: synic_get_sint_vector`,
    needs: [offered],
    async run(ctx) {
      const code = [...setSint(4, { vector: 0x54, masked: true }), pause, ...setSint(4, { vector: 0x54 })];
      const guest = await prepared(ctx, [code]);
      const { machine } = guest;
      const [line] = linesOf(ctx, machine, [4]);
      line!.signal();
      goOn(guest);
      ctx.equal('the vectors that came', [...machine.vcpu(0).interrupts], []);
      ctx.equal('the vectors that are requested', machine.vcpu(0).vcpu.lapic().irr, []);
      line!.signal();
      ctx.equal('the vectors that are requested, unmasked', machine.vcpu(0).vcpu.lapic().irr, [0x54]);
    },
  },
  ...table(
    [
      ['refused', 'A SINT refuses the vectors 0 to 15 with a general protection fault', false, 256],
      ['masked', 'A masked SINT takes the vectors 0 to 15', true, 0],
    ] as const,
    ([word, claim, masked, faults]) => ({
      id: `synic.sint.vector.${word}`,
      claim,
      source: `${TLFS}: SINTx; ${HYPERV}: synic_set_sint`,
      needs: [offered],
      async run(ctx: CheckContext) {
        const code = allSints.flatMap((sint) => range(16).flatMap((vector) => setSint(sint, { vector, masked })));
        const guest = await prepared(ctx, [code], { program: countFaults });
        const { machine } = guest;
        ctx.equal('the number of #GP', faultsOf(machine), faults);
      },
    }),
  ),
  {
    id: 'synic.sint.changed',
    claim: 'A SINT delivers the vector that was written last',
    source: `${TLFS}: SINTx; ${HYPERV}: synic_set_sint`,
    needs: [offered],
    async run(ctx) {
      const code = [...setSint(9, { vector: 0x59 }), ...setSint(9, { vector: 0x69 }), pause];
      const guest = await prepared(ctx, [code]);
      const { machine } = guest;
      const [line] = linesOf(ctx, machine, [9]);
      line!.signal();
      goOn(guest);
      ctx.equal('the vectors that came', [...machine.vcpu(0).interrupts], [[0x69, 1]]);
    },
  },
  {
    id: 'synic.sint.not-forwarded',
    claim: 'An interrupt that the SynIC delivers is no ICR write: it is not forwarded',
    source: `patch 2/3, arch/x86/kvm/lapic.c: apic_mmio_write; ${HYPERV}: synic_set_irq`,
    needs: [offered, forwarding],
    async run(ctx) {
      const guest = await prepared(ctx, [[...setSint(1, { vector: 0x51 }), pause]], {
        program: () => ({ interrupts: false }),
      });
      const { machine } = guest;
      linesOf(ctx, machine, [1])[0]!.signal();
      const exits = goOn(guest);
      ctx.equal('the vectors that are requested', machine.vcpu(0).vcpu.lapic().irr, [0x51]);
      ctx.equal('the number of exits', forwarded(exits), 0);
    },
  },
];

const acknowledgements: Check[] = [
  {
    id: 'synic.acknowledge.eoi',
    claim: 'EOI of a SINT signals its resampler, and not before',
    source: `${HYPERV}: kvm_hv_synic_send_eoi; ${API} 4.75: KVM_IRQFD_FLAG_RESAMPLE`,
    needs: [offered],
    async run(ctx) {
      const code = [...setSint(1, { vector: 0x51 }), ...setSint(2, { vector: 0x52 }), pause];
      const guest = await prepared(ctx, [code]);
      const { machine } = guest;
      const lines = linesOf(ctx, machine, [1, 2]);
      lines[0]!.signal();
      ctx.equal('the acknowledgements before it ran', lines.map(acknowledged), [0, 0]);
      goOn(guest);
      ctx.equal('how often it took each vector', [...machine.vcpu(0).interrupts], [[0x51, 1]]);
      ctx.equal('the acknowledgements', lines.map(acknowledged), [1, 0]);
    },
  },
  {
    id: 'synic.acknowledge.changed',
    claim: 'EOI of the vector that was written last signals the resampler of its SINT',
    source: `${HYPERV}: kvm_hv_synic_send_eoi`,
    needs: [offered],
    async run(ctx) {
      const guest = await prepared(ctx, [[...setSint(9, { vector: 0x59 }), ...setSint(9, { vector: 0x69 }), pause]]);
      const [line] = linesOf(ctx, guest.machine, [9]);
      line!.signal();
      goOn(guest);
      ctx.equal('the acknowledgements', acknowledged(line!), 1);
    },
  },
  {
    id: 'synic.acknowledge.eom',
    claim: 'EOM signals the resamplers of every SINT of its vCPU, and of no other vCPU',
    source: `${TLFS}: EOM; ${HYPERV}: synic_set_msr`,
    needs: [offered],
    async run(ctx) {
      const guest = await prepared(ctx, [[pause, ...writeMsr(EOM, 0n)], [pause]]);
      const { machine } = guest;
      const lines = linesOf(ctx, machine, allSints);
      for (const { id } of machine.vcpus) goOn(guest, id);
      ctx.equal('the acknowledgements', lines.map(acknowledged), [...allSints.map(() => 1), ...allSints.map(() => 0)]);
    },
  },
  {
    id: 'synic.auto-eoi.in-service',
    claim: 'An interrupt with auto-EOI is over when it is delivered: its handler finds it not in service',
    source: `${TLFS}: SINTx; arch/x86/kvm/lapic.c: kvm_apic_ack_interrupt`,
    needs: [offered],
    async run(ctx) {
      const guest = await prepared(ctx, [[...setSint(6, { vector: 0x66, autoEoi: true }), pause]], {
        program: leaveAtOnce(0x66),
      });
      const { machine } = guest;
      const [line] = linesOf(ctx, machine, [6]);
      line!.signal();
      guest.drivers[0]!.until(HANDLER_PORT);
      const { isr, irr } = machine.vcpu(0).vcpu.lapic();
      ctx.equal('what is in service and requested', { isr, irr }, { isr: [], irr: [] });
      ctx.equal('the acknowledgements', acknowledged(line!), 0);
    },
  },
  {
    id: 'synic.auto-eoi.off',
    claim: 'An interrupt without auto-EOI is in service until its EOI',
    source: `${TLFS}: SINTx; SDM vol. 3 11.8.4`,
    needs: [offered],
    async run(ctx) {
      const guest = await prepared(ctx, [[...setSint(6, { vector: 0x66 }), pause]], { program: leaveAtOnce(0x66) });
      const { machine } = guest;
      linesOf(ctx, machine, [6])[0]!.signal();
      guest.drivers[0]!.until(HANDLER_PORT);
      ctx.equal('what is in service', machine.vcpu(0).vcpu.lapic().isr, [0x66]);
    },
  },
  {
    id: 'synic.auto-eoi.apicv',
    claim: 'A SINT with auto-EOI inhibits APICv for its VM: ICR writes are forwarded again',
    source: `${HYPERV}: synic_update_vector, APICV_INHIBIT_REASON_HYPERV; patch 2/3`,
    needs: [offered, forwarding, parameterOn('kvm_intel.enable_apicv')],
    async run(ctx) {
      const send = [icr2(1 << 24), icr(0x4045)].map(writeInstruction);
      const code = [...setSint(6, { vector: 0x66, autoEoi: true }), ...send];
      const guest = await prepared(ctx, [code], { apicv: true });
      ctx.equal('the number of exits', forwarded(guest.exits), 2);
    },
  },
];

/** Where a handler leaves that does nothing else. */
const HANDLER_PORT = 0x13;

function leaveAtOnce(vector: number): (machine: Machine) => ProgramOptions {
  return ({ memory, shared }) => {
    // out HANDLER_PORT, al; jmp to itself
    memory.write(shared, Uint8Array.of(0xe6, HANDLER_PORT, 0xeb, 0xfe));
    return { handlers: { [vector]: shared } };
  };
}

const ROUNDS = 32;

const messages: Check[] = [
  {
    id: 'synic.message.rounds',
    claim: `${ROUNDS} messages one behind the other: each is read once, in order, and has its EOI and its EOM told`,
    source: `${TLFS}: SynIC Message Page; ${HYPERV}: kvm_hv_notify_acked_sint`,
    deadline: LONG,
    needs: [offered],
    async run(ctx) {
      const machine = await ctx.machine({ apic: 'xapic', synic: 'keep' });
      const [page, log, sint] = [machine.shared, machine.shared + 0x1000, 2];
      const slot = page + sint * 0x100;
      const open = [...writeMsr(SIMP, BigInt(page + 1)), ...setSint(sint, { vector: 0x52 })];
      // An interrupt is taken behind the port, before the message is read and its slot freed.
      const round = [pause, read32(slot + 16), store32(log), write32(slot, 0), ...writeMsr(EOM, 0n)];
      const length = round.reduce((sum, { length: bytes }) => sum + bytes, 2);
      machine.vcpu(0).program(flat32(...open, ...round, Uint8Array.of(0xeb, 0x100 - length)));
      await runUntilDone(machine);
      const [line] = linesOf(ctx, machine, [sint]);
      for (const n of range(ROUNDS)) {
        ctx.equal('what became of a message', line!.post({ type: 1, payload: Uint8Array.of(n, 7, 0, 0) }), 'posted');
        ctx.equal('what became of another one', line!.post({ type: 1 }), 'busy');
        await runUntilDone(machine);
        ctx.equal('what the guest read', words(machine, log, 1)[0], 0x700 + n);
        ctx.equal('the acknowledgements', acknowledged(line!), 2);
        ctx.equal('how often the vector came', [...machine.vcpu(0).interrupts], [[0x52, n + 1]]);
      }
    },
  },
];

export const synic = subject('synic', "Hyper-V's SynIC", [...registers, ...sints, ...acknowledgements, ...messages]);
