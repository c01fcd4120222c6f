/** Exit 47: writes of IA32_APIC_BASE. */
import { APIC_BASE_ENABLE, APIC_BASE_EXTD, IA32_APIC_BASE } from '../../../abi/apic/msr.ts';
import { flat32, out8 } from '../../../guest/bytes.ts';
import type { Check } from '../../check.ts';
import { Driver } from '../../kit/drive.ts';
import { DONE_PORT } from '../../kit/guests.ts';
import { madeExit, x2apic } from '../../kit/needs.ts';
import { sameRows } from '../../kit/rows.ts';
import {
  ACTOR,
  ALL,
  EXTENSION,
  exitsOf,
  exitsOfFault,
  lengthOf,
  machineWith,
  named,
  names,
  writeMsr,
} from './guest.ts';

const BASE_HEADER = `patch 1/3, include/uapi/linux/kvm.h: x2msr_base; ${EXTENSION}`;
const MOVED = 0xfed0_0000n;

const made = madeExit('KVM_EXIT_DSM_APIC_BASE');

export const apicBaseChecks: Check[] = [
  {
    id: 'exits.apic-base.fields',
    claim: "Exit 47 tells vcpu_id, host 0, MSR 0x1b and the value of each of the guest's writes, once",
    source: BASE_HEADER,
    needs: [made, x2apic],
    async run(ctx) {
      const machine = await machineWith(ctx, ['KVM_EXIT_DSM_APIC_BASE'], { apic: 'xapic' });
      const { apicBase } = machine.vcpu(ACTOR).vcpu.getSregs();
      const values = [MOVED | APIC_BASE_ENABLE, apicBase, apicBase | APIC_BASE_EXTD, apicBase & ~APIC_BASE_ENABLE];
      const code = values.flatMap((value) => writeMsr(IA32_APIC_BASE, value));
      const seen = named(exitsOf(ctx, machine, code), 'KVM_EXIT_DSM_APIC_BASE');
      sameRows(
        'exits 47 (id, host, index, data)',
        seen.map(({ id, host, index, data }) => [id, host, index, `0x${data.toString(16)}`]),
        values.map((data) => [ACTOR, false, IA32_APIC_BASE, `0x${data.toString(16)}`]),
      );
    },
  },
  {
    id: 'exits.apic-base.behind',
    claim: 'At exit 47 RIP is behind the WRMSR, and IA32_APIC_BASE has the value',
    source: EXTENSION,
    needs: [made],
    async run(ctx) {
      const machine = await machineWith(ctx, ['KVM_EXIT_DSM_APIC_BASE'], { apic: 'xapic' });
      const code = writeMsr(IA32_APIC_BASE, MOVED | APIC_BASE_ENABLE);
      machine.vcpu(ACTOR).program(flat32(...code, out8(DONE_PORT)));
      const driver = new Driver(ctx, machine, ACTOR);
      ctx.equal('the first exit', driver.next().name, 'KVM_EXIT_DSM_APIC_BASE');
      ctx.equal('RIP', Number(driver.vcpu.getRegs().rip), machine.vcpu(ACTOR).entry + lengthOf(code));
      ctx.equal('IA32_APIC_BASE', driver.vcpu.getSregs().apicBase, MOVED | APIC_BASE_ENABLE);
    },
  },
  {
    id: 'exits.apic-base.fault',
    claim: 'A write of IA32_APIC_BASE that ends in a general protection fault makes no exit 47',
    source: `${EXTENSION}; SDM vol. 3 11.4.4`,
    needs: [made],
    async run(ctx) {
      const machine = await machineWith(ctx, ALL, { apic: 'xapic' });
      ctx.equal('exits', names(exitsOfFault(ctx, machine, IA32_APIC_BASE, MOVED | APIC_BASE_ENABLE | 1n)), []);
    },
  },
  {
    id: 'exits.apic-base.host',
    claim: 'A write of IA32_APIC_BASE by KVM_SET_MSRS or KVM_SET_SREGS makes no exit 47',
    source: EXTENSION,
    needs: [made],
    async run(ctx) {
      const machine = await machineWith(ctx, ALL, { apic: 'xapic' });
      const { vcpu } = machine.vcpu(ACTOR);
      const sregs = vcpu.getSregs();
      vcpu.setSregs({ ...sregs, apicBase: MOVED | APIC_BASE_ENABLE });
      vcpu.setMsr(IA32_APIC_BASE, sregs.apicBase);
      ctx.equal('exits', names(exitsOf(ctx, machine, [])), []);
    },
  },
];
