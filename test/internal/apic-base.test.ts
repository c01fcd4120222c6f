/** IA32_APIC_BASE as a vCPU remembers it: the kernel is asked again whenever something may have changed it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IA32_APIC_BASE } from '../../lib/abi/apic/msr.ts';
import { kvmSregs } from '../../lib/abi/kvm/index.ts';
import { ioctls, type Vcpu } from '../../lib/index.ts';
import { countOut, makeGuest } from '../support/guest.ts';
import { noKvm } from '../support/host.ts';

const options = { skip: noKvm };
const BASE = 0xfee0_0900n;
const OFF = 0xfee0_0100n;

/** How often the kernel is asked for special registers meanwhile. */
function asked(vcpu: Vcpu, action: () => void): number {
  // Of a vCPU that no longer has the other one's class: its part asks by this.
  const registers = vcpu as unknown as { apicBase(): bigint };
  let count = 0;
  const { getBigUint64 } = DataView.prototype;
  DataView.prototype.getBigUint64 = function (at, littleEndian) {
    if (at === kvmSregs.fields.apicBase.offset) count += 1;
    return getBigUint64.call(this, at, littleEndian);
  };
  try {
    action();
    registers.apicBase();
  } finally {
    DataView.prototype.getBigUint64 = getBigUint64;
  }
  return count;
}

test('it is what KVM_GET_SREGS says, after each thing that may change it', options, async () => {
  using guest = makeGuest();
  const vcpu = guest.program(0, countOut(0x42));
  assert.equal(vcpu.apicBase(), BASE);
  const changes: Record<string, (value: bigint) => void> = {
    setMsr: (value) => vcpu.setMsr(IA32_APIC_BASE, value),
    setSregs: (value) => vcpu.setSregs({ ...vcpu.getSregs(), apicBase: value }),
    ioctlRaw: (value) =>
      void vcpu.ioctlRaw(ioctls.KVM_SET_SREGS, kvmSregs.encode({ ...vcpu.getSregs(), apicBase: value })),
  };
  for (const [name, change] of Object.entries(changes))
    for (const value of [OFF, BASE]) {
      assert.equal(vcpu.apicBase(), value === OFF ? BASE : OFF, name);
      change(value);
      assert.equal(vcpu.apicBase(), value, name);
    }
  vcpu.requestSyncRegs({ sregs: true, regs: true });
  vcpu.run();
  vcpu.setSyncRegs({ sregs: { ...vcpu.syncRegs().sregs, apicBase: OFF } });
  assert.equal(vcpu.apicBase(), BASE);
  vcpu.run();
  assert.equal(vcpu.apicBase(), OFF, 'KVM_RUN has taken it from kvm_run');
  vcpu.requestSyncRegs({});
  vcpu.setMsr(IA32_APIC_BASE, BASE);
  const run = vcpu.start();
  await run.pause();
  assert.equal(vcpu.apicBase(), BASE);
  vcpu.setMsr(IA32_APIC_BASE, OFF);
  assert.equal(vcpu.apicBase(), OFF);
  await run.stop();
});

test('the kernel is asked once, and again after a run, an ioctl of the vCPU and a raw one of the VM', options, () => {
  using guest = makeGuest();
  const vcpu = guest.program(0, countOut(0x42));
  vcpu.apicBase();
  assert.equal(
    asked(vcpu, () => {}),
    0,
  );
  assert.equal(
    asked(vcpu, () => guest.vm.signalMsi({ addressLo: 0xfee0_0000, data: 0x40 })),
    0,
    'an interrupt changes nothing of it',
  );
  const changes: Record<string, () => void> = {
    run: () => void vcpu.run(),
    runRaw: () => void vcpu.runRaw(),
    settle: () => void vcpu.settle(),
    getRegs: () => void vcpu.getRegs(),
    'vm.ioctlRaw': () => void guest.vm.ioctlRaw(ioctls.KVM_CHECK_EXTENSION, 0),
  };
  for (const [name, change] of Object.entries(changes)) assert.equal(asked(vcpu, change), 1, name);
});
