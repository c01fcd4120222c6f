/** The registers and the pages of SynIC. */
import { flat32, out8 } from '../../../guest/bytes.ts';
import type { MachineOptions } from '../../../script/machine/machine.ts';
import { type Check, table } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { DONE_PORT, runUntilDone } from '../../kit/guests.ts';
import { capability } from '../../kit/needs.ts';
import { writeMsr } from '../../kit/senders.ts';
import {
  API,
  allSints,
  countFaults,
  EOM,
  faultsOf,
  HYPERV,
  offered,
  type Prepared,
  prepared,
  SCONTROL,
  SIEFP,
  SIMP,
  setSint,
  TLFS,
  vectorOf,
} from './guest.ts';

const hypervExits = ({ exits }: Prepared) =>
  exits.flatMap((exit) => (exit.name === 'KVM_EXIT_HYPERV' ? exit.synic : []));

const pages = [
  ['zero', 'KVM_CAP_HYPERV_SYNIC clears a page when the guest enables it', 'KVM_CAP_HYPERV_SYNIC', 0],
  ['keep', 'KVM_CAP_HYPERV_SYNIC2 leaves a page as it is when the guest enables it', 'KVM_CAP_HYPERV_SYNIC2', 0xa5],
] as const;

export const registerChecks: Check[] = [
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
