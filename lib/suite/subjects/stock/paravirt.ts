/** Other ways to a local APIC than its page: what KVM and Hyper-V offer a guest, and what KVM tells user space. */
import { kvmTprAccessCtl } from '../../../abi/kvm/index.ts';
import { ioctls } from '../../../abi/kvm/ioctl.ts';
import { flat32, type Instruction, nop, out8, sti, write32 } from '../../../guest/bytes.ts';
import type { Machine } from '../../../script/machine/machine.ts';
import type { Check } from '../../check.ts';
import { btrMemory, incMemory, iretd, jcOver } from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
import { at, DONE_PORT, runUntilDone } from '../../kit/guests.ts';
import { HV_X64_MSR_TPR, hypervCpuid } from '../../kit/hyperv.ts';
import { capability, hardwareVirtualization, svm } from '../../kit/needs.ts';
import { keep, keepMsr, runSender, sendIcr, words, writeMsr } from '../../kit/senders.ts';
import { KVM } from './target.ts';

const MSR_KVM_PV_EOI_EN = 0x4b56_4d04;
const PV_EOI = 'Documentation/virt/kvm/x86/msr.rst: MSR_KVM_PV_EOI_EN';
const VECTOR = 0x51;

/** What the guest and KVM share of an interrupt's end, and two counts of the guest's. */
const placesOf = ({ shared }: Machine) => ({ flag: shared, byFlag: shared + 4, byRegister: shared + 8 });

/** Sends itself two interrupts, whose handler says so. */
async function interruptsItself(ctx: CheckContext, handler: (machine: Machine) => readonly Instruction[]) {
  const machine = await ctx.machine({ apic: 'xapic' });
  const { flag } = placesOf(machine);
  const once = [...sendIcr(0x4_4000 | VECTOR), sti, nop, nop, out8(DONE_PORT)];
  const program = flat32(...writeMsr(MSR_KVM_PV_EOI_EN, BigInt(flag | 1)), ...once, ...once);
  const place = machine.vcpu(0).entry + program.bytes.length;
  machine.vcpu(0).program(flat32(program.bytes, ...handler(machine), iretd), {
    interrupts: false,
    handlers: { [VECTOR]: place },
  });
  await runUntilDone(machine);
  await runUntilDone(machine);
  return machine;
}

const eoi = write32(at('EOI'), 0);

export const paravirtChecks: Check[] = [
  {
    id: 'stock.pv-eoi.flag',
    claim: 'An interrupt that the guest ends by the flag it shares with KVM is out of service, and the next one comes',
    source: PV_EOI,
    needs: [hardwareVirtualization],
    async run(ctx) {
      const machine = await interruptsItself(ctx, (of) => {
        const { flag, byFlag, byRegister } = placesOf(of);
        const register = [incMemory(byRegister), eoi];
        const [ended, over] = [[incMemory(byFlag), iretd], register.reduce((sum, { length }) => sum + length, 0)];
        // With the flag: over what ends it by the register.
        return [btrMemory(flag), jcOver(over + iretd.length), ...register, iretd, ...ended];
      });
      const { byFlag } = placesOf(machine);
      const [flagged = 0, registered = 0] = words(machine, byFlag, 2);
      ctx.equal('ended, in service', [flagged + registered, machine.vcpu(0).vcpu.lapic().isr], [2, []]);
      // KVM sets the flag where it is sure that nothing else waits.
      if (flagged === 0) ctx.skip('KVM offered the flag for no interrupt');
    },
  },
  {
    id: 'stock.pv-eoi.off',
    claim: 'A guest that switches the flag off while an interrupt is in service ends it by the register',
    source: `${PV_EOI}; ${KVM}: apic_sync_pv_eoi_from_guest`,
    needs: [hardwareVirtualization],
    async run(ctx) {
      const machine = await interruptsItself(ctx, (of) => [
        ...writeMsr(MSR_KVM_PV_EOI_EN, 0n),
        incMemory(placesOf(of).byRegister),
        eoi,
      ]);
      const { byRegister } = placesOf(machine);
      ctx.equal(
        'ended by the register, in service',
        [...words(machine, byRegister, 1), machine.vcpu(0).vcpu.lapic().isr],
        [2, []],
      );
    },
  },
  {
    id: 'stock.hyperv.tpr',
    claim: "Hyper-V's MSR of the TPR and the register on the page are one",
    source: `Hyper-V TLFS, HV_X64_MSR_TPR; ${KVM}: kvm_hv_vapic_msr_read`,
    needs: [capability('KVM_CAP_HYPERV')],
    async run(ctx) {
      const machine = await runSender(
        ctx,
        ({ shared }) => [
          write32(at('TPR'), 0x50),
          ...keepMsr(HV_X64_MSR_TPR, shared),
          ...writeMsr(HV_X64_MSR_TPR, 0x30n),
          ...keep('TPR', shared + 4),
        ],
        { cpuid: hypervCpuid },
      );
      ctx.equal('by the MSR, on the page', words(machine, machine.shared, 2), [0x50, 0x30]);
    },
  },
  {
    id: 'stock.tpr.reported',
    claim: 'Where user space asks for it, each access of the TPR is an exit with its RIP, and takes effect',
    source: `Documentation/virt/kvm/api.rst: KVM_TPR_ACCESS_REPORTING; ${KVM}: __report_tpr_access`,
    // On Intel the CPU has the TPR of a guest, where it can (flexpriority), and most accesses make no exit.
    needs: [svm],
    async run(ctx) {
      const write = write32(at('TPR'), 0x50);
      const machine = await runSender(
        ctx,
        ({ shared }) => [write, ...keep('TPR', shared)],
        {},
        (made) =>
          made.vcpu(0).vcpu.ioctlRaw(ioctls.KVM_TPR_ACCESS_REPORTING, kvmTprAccessCtl.encode({ enabled: 1, flags: 0 })),
      );
      const begin = BigInt(machine.vcpu(0).entry);
      const exits = machine.trace.named('KVM_EXIT_TPR_ACCESS');
      ctx.equal(
        'the reports, and the TPR',
        {
          reports: exits.map(({ exit: { rip, isWrite } }) => [rip - begin, isWrite]),
          tpr: words(machine, machine.shared, 1),
        },
        {
          reports: [
            [0n, true],
            [BigInt(write.length), false],
          ],
          tpr: [0x50],
        },
      );
    },
  },
];
