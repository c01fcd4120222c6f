/** That they write, send and change nothing. */

import { isDeepStrictEqual } from 'node:util';
import { encodeIcr } from '../../../abi/apic/icr.ts';
import { lapicRegisters } from '../../../abi/apic/lapic.ts';
import type { GsiRoute } from '../../../abi/kvm/gsi-route.ts';
import type { Machine } from '../../../script/machine/machine.ts';
import type { Check } from '../../check.ts';
import {
  callAll,
  LINE_VECTOR,
  SERIES,
  setupMsi,
  TARGET,
  toTarget,
  twoVcpus,
  UNKNOWN_NUMBER,
  VECTORS,
} from './calls.ts';

/** What a VM holds that KVM can be asked for, by name. */
function stateOf(machine: Machine): Record<string, unknown> {
  const vcpus = machine.vcpus.flatMap(({ id, vcpu }) => [
    [`registers of vCPU ${id}`, vcpu.getRegs()],
    [`special registers of vCPU ${id}`, vcpu.getSregs()],
    [`local APIC of vCPU ${id}`, vcpu.getLapic()],
    [`events of vCPU ${id}`, vcpu.getVcpuEvents()],
    [`mp_state of vCPU ${id}`, vcpu.getMpState()],
  ]);
  const { vm } = machine;
  const chips = [
    ['first PIC', vm.getIrqchip('picMaster')],
    ['second PIC', vm.getIrqchip('picSlave')],
    ['IOAPIC', vm.getIrqchip('ioapic')],
  ];
  return Object.fromEntries([...vcpus, ...chips]);
}

/** Leads to the vCPU that the calls are about. */
const route: GsiRoute = { type: 'msi', gsi: 24, addressLo: toTarget, data: LINE_VECTOR };

export const effectChecks: Check[] = [
  {
    id: 'vlpi.msi-setup.writes-nothing',
    claim: 'KVM_DEBUG_GIC_MSI_SETUP is not taken for KVM_DSM_IPI, which has its number: it writes no register',
    source: `${SERIES}; patch 3/3, include/uapi/linux/kvm.h`,
    async run(ctx) {
      const machine = await twoVcpus(ctx);
      const tpr = () => machine.vcpu(TARGET).vcpu.lapic().registers.TPR;
      const before = tpr();
      setupMsi(ctx, machine.vm, [TARGET, lapicRegisters.TPR, 0x55]);
      ctx.equal('TPR after the call', tpr(), before);
    },
  },
  {
    id: 'vlpi.msi-setup.sends-nothing',
    claim: 'KVM_DEBUG_GIC_MSI_SETUP is not taken for KVM_DSM_IPI, which has its number: it sends no IPI',
    source: `${SERIES}; patch 3/3, include/uapi/linux/kvm.h`,
    async run(ctx) {
      const machine = await twoVcpus(ctx);
      const icr = encodeIcr({ vector: LINE_VECTOR, shorthand: 'allIncludingSelf' });
      setupMsi(ctx, machine.vm, [TARGET, lapicRegisters.ICR, icr]);
      ctx.equal(
        'the vectors in the IRR of each vCPU',
        machine.vcpus.map(({ vcpu }) => vcpu.lapic().irr),
        [[], []],
      );
    },
  },
  {
    id: 'vlpi.state',
    claim: 'The calls change nothing of a VM: registers, local APICs, events, mp_state, PICs and IOAPIC',
    source: UNKNOWN_NUMBER,
    async run(ctx) {
      const machine = await twoVcpus(ctx);
      machine.signalMsi({ addressLo: toTarget, data: VECTORS[0]! });
      const before = stateOf(machine);
      callAll(ctx, machine.vm);
      const after = stateOf(machine);
      ctx.equal(
        'what has changed',
        Object.keys(before).filter((part) => !isDeepStrictEqual(before[part], after[part])),
        [],
      );
    },
  },
  {
    id: 'vlpi.routes',
    claim: 'The calls change no route: a message that is routed to the vCPU arrives as before',
    source: `${SERIES}: KVM_DEBUG_GIC_MSI_SETUP makes a route; ${UNKNOWN_NUMBER}`,
    async run(ctx) {
      const machine = await twoVcpus(ctx);
      machine.vm.setGsiRouting([route]);
      callAll(ctx, machine.vm);
      machine.irqLine(route.gsi, true);
      ctx.equal('the vectors in the IRR', machine.vcpu(TARGET).vcpu.lapic().irr, [LINE_VECTOR]);
    },
  },
];
