/** Exit 46: writes of the 64-bit ICR. */
import { X2APIC_ICR, X2APIC_SELF_IPI } from '../../../abi/apic/msr.ts';
import { flat32, out8 } from '../../../guest/bytes.ts';
import type { Check } from '../../check.ts';
import { Driver } from '../../kit/drive.ts';
import { DONE_PORT } from '../../kit/guests.ts';
import { madeExit, x2apic } from '../../kit/needs.ts';
import { writeX2Icr } from '../../kit/replay.ts';
import { sameRows } from '../../kit/rows.ts';
import {
  ACTOR,
  ALL,
  EXTENSION,
  exitsOf,
  exitsOfFault,
  icrs,
  lengthOf,
  machineWith,
  named,
  names,
  writeMsr,
} from './guest.ts';

const X2_HEADER = `patch 1/3, include/uapi/linux/kvm.h: x2apic; ${EXTENSION}`;

const made = madeExit('KVM_EXIT_DSM_X2_ICR');

export const x2IcrChecks: Check[] = [
  {
    id: 'exits.x2-icr.fields',
    claim: "Exit 46 tells the vcpu_id and the 64 bits of each of the guest's ICR writes, once",
    source: X2_HEADER,
    needs: [made, x2apic],
    async run(ctx) {
      const machine = await machineWith(ctx, ['KVM_EXIT_DSM_X2_ICR'], { apic: 'x2apic' });
      const seen = named(exitsOf(ctx, machine, icrs.flatMap(writeX2Icr)), 'KVM_EXIT_DSM_X2_ICR');
      sameRows(
        'exits 46 (id, data)',
        seen.map(({ id, data }) => [id, `0x${data.toString(16)}`]),
        icrs.map((data) => [ACTOR, `0x${data.toString(16)}`]),
      );
    },
  },
  {
    id: 'exits.x2-icr.behind',
    claim: 'At exit 46 RIP is behind the WRMSR, and the IPI has arrived',
    source: EXTENSION,
    needs: [made, x2apic],
    async run(ctx) {
      const machine = await machineWith(ctx, ['KVM_EXIT_DSM_X2_ICR'], { apic: 'x2apic' });
      const code = writeX2Icr(icrs[0]!);
      machine.vcpu(ACTOR).program(flat32(...code, out8(DONE_PORT)));
      const driver = new Driver(ctx, machine, ACTOR);
      ctx.equal('the first exit', driver.next().name, 'KVM_EXIT_DSM_X2_ICR');
      ctx.equal('RIP', Number(driver.vcpu.getRegs().rip), machine.vcpu(ACTOR).entry + lengthOf(code));
      ctx.equal('IRR of the destination', machine.vcpu(2).vcpu.lapic().irr, [0x71]);
    },
  },
  {
    id: 'exits.x2-icr.fault',
    claim: 'An ICR write that ends in a general protection fault makes no exit 46',
    source: `${EXTENSION}; SDM vol. 3 11.12.9`,
    needs: [made, x2apic],
    async run(ctx) {
      const machine = await machineWith(ctx, ALL, { apic: 'x2apic' });
      ctx.equal('exits', names(exitsOfFault(ctx, machine, X2APIC_ICR, icrs[0]! | (1n << 13n))), []);
    },
  },
  {
    id: 'exits.x2-icr.others',
    claim: 'Neither a write of SELF IPI nor one by KVM_SET_MSRS makes exit 46',
    source: EXTENSION,
    needs: [made, x2apic],
    async run(ctx) {
      const machine = await machineWith(ctx, ALL, { apic: 'x2apic' });
      machine.vcpu(ACTOR).vcpu.setMsr(X2APIC_ICR, icrs[0]!);
      ctx.equal('exits', names(exitsOf(ctx, machine, writeMsr(X2APIC_SELF_IPI, 0x76n))), []);
      ctx.equal('IRR of the destination', machine.vcpu(2).vcpu.lapic().irr, [0x71]);
    },
  },
];
