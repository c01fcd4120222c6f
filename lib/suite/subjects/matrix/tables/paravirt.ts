/** What KVM and Hyper-V offer a guest beside a PC: MSRs by which the guest has told that it uses it. */
import { lapicRegisters } from '../../../../abi/apic/lapic.ts';
import { kvmVapicAddr } from '../../../../abi/kvm/index.ts';
import { ioctls } from '../../../../abi/kvm/ioctl.ts';
import type { Axis, StateRow } from '../row.ts';

const MSRS = 'Documentation/virt/kvm/x86/msr.rst';
/** Where KVM keeps what it shares with the guest: a page that nothing else uses. */
const SHARED = 0x3_0000n;

const msr = (name: string, what: string, index: number, value: bigint, source = MSRS): StateRow => ({
  name,
  what: `the sender has ${what}`,
  source,
  apply(scene) {
    const { vcpu } = scene;
    scene.ready.push(() => {
      vcpu.setMsr(index, value);
    });
    scene.undo.push(() => {
      vcpu.setMsr(index, 0n);
    });
  },
});

const asyncPf = msr('async-pf', 'asynchronous page faults', 0x4b56_4d02, (SHARED + 0x100n) | 9n);

export const paravirtAxis: Axis = {
  name: 'paravirt',
  title: 'the guest uses of what KVM offers it',
  rows: [
    msr('kvmclock', 'kvmclock', 0x4b56_4d01, SHARED | 1n),
    msr('kvmclock-old', 'kvmclock by its old MSR', 0x12, SHARED | 1n),
    {
      ...asyncPf,
      apply(scene) {
        asyncPf.apply(scene);
        // The interrupt that a page is there has the vector 0 while the guest has named none: no CPU takes that.
        scene.unjudged.add(lapicRegisters.IRR0);
      },
    },
    msr('steal-time', 'steal time', 0x4b56_4d03, (SHARED + 0x300n) | 1n),
    {
      name: 'vapic',
      what: 'a page for its TPR, of which KVM was told',
      source: 'Documentation/virt/kvm/api.rst: KVM_SET_VAPIC_ADDR; struct kvm_lapic: vapic_addr',
      alone: ['tpr', 'isr', 'irr'],
      apply(scene) {
        const { vcpu } = scene;
        const tell = (vapicAddr: bigint) =>
          vcpu.ioctlRaw(ioctls.KVM_SET_VAPIC_ADDR, kvmVapicAddr.encode({ vapicAddr }));
        scene.ready.push(() => tell(SHARED + 0x400n));
        scene.undo.push(() => tell(0n));
      },
    },
    msr('pv-eoi', 'the PV EOI', 0x4b56_4d04, (SHARED + 0x200n) | 1n),
    msr(
      'tsc-adjust',
      'a TSC that is adjusted',
      0x3b,
      0x1_0000n,
      'SDM vol. 3 18.17.3; kvm_vcpu_arch.ia32_tsc_adjust_msr',
    ),
  ],
};
