/** A KVM's opinion: a VM that is as bare as the emulators' machines, with the same ROM. */
import { exitReasons } from '../../abi/kvm/exit-reason.ts';
import { RUN_UNION_OFFSET } from '../../abi/kvm/kvm-run.ts';
import { describeExit } from '../../exit/text.ts';
import { withApicId } from '../../kvm/apic-id.ts';
import { GuestMemory } from '../../kvm/guest-memory.ts';
import type { Kvm } from '../../kvm/kvm.ts';
import type { Vcpu } from '../../kvm/vcpu/vcpu.ts';
import { TSS_ADDRESS } from '../../kvm/vm/vm.ts';
import { inhibitApicv } from '../../probe/inhibit-apicv.ts';
import { ExploreTextError } from './errors.ts';
import { ENDS, RAM, ROM_SIZE, TEXT, TEXT_PORT, TEXT_READY } from './machine.ts';

const EXIT_REASON = 8;

/** Runs it, and gives what it wrote. @param limit ms */
export function textOfKvm(kvm: Kvm, rom: Uint8Array, limit: number): string {
  const vm = kvm.createVm();
  const ram = GuestMemory.allocate(RAM);
  const high = GuestMemory.allocate(ROM_SIZE);
  try {
    if (vm.checkExtension('KVM_CAP_SET_TSS_ADDR')) vm.setTssAddr(TSS_ADDRESS);
    vm.createIrqchip();
    vm.setMemory({ slot: 0, guestPhysAddr: 0, memory: ram });
    high.write(0, rom);
    vm.setMemory({ slot: 1, guestPhysAddr: 2 ** 32 - ROM_SIZE, memory: high });
    const vcpu = vm.createVcpu(0);
    vcpu.setCpuid2(withApicId(kvm.supportedCpuid(), 0));
    inhibitApicv(vm, 1);
    return run(vcpu, ram, kvm.profile.exits.KVM_EXIT_DSM_SEND_IRQ.reason, limit);
  } finally {
    vm.close();
    ram.close();
    high.close();
  }
}

function run(vcpu: Vcpu, ram: GuestMemory, forwarded: number, limit: number): string {
  let text = '';
  const lost = (what: string) => new ExploreTextError('KVM', what, text.split('\n').slice(-5));
  const began = performance.now();
  while (!ENDS.test(text.slice(-64))) {
    const left = limit - (performance.now() - began);
    if (left <= 0) throw lost(`its guest did not come to its end within ${Math.round(limit / 1000)} s`);
    const outcome = vcpu.runRaw(left);
    if (outcome.kind === 'deadline') continue;
    if (outcome.kind !== 'exit') throw lost(`KVM_RUN: ${JSON.stringify(outcome)}`);
    const { kvmRun } = vcpu;
    const reason = kvmRun.getUint32(EXIT_REASON, true);
    // The series tells of the write, and KVM sends what it says.
    if (reason === forwarded) continue;
    if (reason !== exitReasons.KVM_EXIT_IO) throw lost(describeExit(vcpu.exit()));
    const port = kvmRun.getUint16(RUN_UNION_OFFSET + 2, true);
    const data = Number(kvmRun.getBigUint64(RUN_UNION_OFFSET + 8, true));
    const isOut = kvmRun.getUint8(RUN_UNION_OFFSET) === 1;
    if (!isOut) kvmRun.setUint8(data, port === TEXT_PORT ? TEXT_READY : 0xff);
    else if (port === TEXT_PORT)
      text += Buffer.from(ram.read(TEXT, kvmRun.getUint32(data, true) - TEXT)).toString('latin1');
  }
  return text;
}
