/** EOI, EOM and AutoEOI. */
import { flat32, out8, spin } from '../../../guest/bytes.ts';
import type { Machine } from '../../../script/machine/machine.ts';
import type { ProgramOptions } from '../../../script/machine/vcpu.ts';
import type { Check } from '../../check.ts';
import { icr, icr2, writeInstruction } from '../../kit/guests.ts';
import { forwarding, parameterOn } from '../../kit/needs.ts';
import { writeMsr } from '../../kit/senders.ts';
import {
  API,
  acknowledged,
  allSints,
  EOM,
  forwarded,
  goOn,
  HYPERV,
  linesOf,
  offered,
  pause,
  prepared,
  setSint,
  TLFS,
} from './guest.ts';

/** Where a handler leaves that does nothing else. */
const HANDLER_PORT = 0x13;

function leaveAtOnce(vector: number): (machine: Machine) => ProgramOptions {
  return ({ memory, shared }) => {
    memory.write(shared, flat32(out8(HANDLER_PORT), spin).bytes);
    return { handlers: { [vector]: shared } };
  };
}

export const acknowledgementChecks: Check[] = [
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
