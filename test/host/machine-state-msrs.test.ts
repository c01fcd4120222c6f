import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Kvm, machine, restoreMachineState, saveMachineState, type Vcpu } from '../../lib/index.ts';
import { noKvm } from '../support/host.ts';

/** Values that one MSR or another takes: memory types, an address with a valid bit, a counter, a timer's configuration. */
const values = [0x0606_0606_0606_0606n, 0x1_2345_6806n, 0x1_2345_6000n, 0xc06n, 0x6n, 0x2_0008n];
/** HV_X64_MSR_STIMER0_CONFIG, enabled and auto-enabled, which its count would start or stop: in their own test. */
const timers = { config: 0x4000_00b0, count: 0x4000_00b1 };

/** Sets the MSR to something else, if the vCPU has it and takes one of the values. */
function change(vcpu: Vcpu, index: number): boolean {
  try {
    const before = vcpu.getMsr(index);
    for (const value of values) {
      try {
        vcpu.setMsr(index, value);
      } catch {
        continue;
      }
      if (vcpu.getMsr(index) !== before) return true;
    }
  } catch {}
  return false;
}

/** A vCPU of another VM that has the state of this machine. */
function restored(state: Uint8Array, use: (vcpu: Vcpu) => void): void {
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  restoreMachineState(vm, state);
  use(vm.vcpus.get(0)!);
}

for (const [what, first, last, least] of [
  ['variable-range MTRRs', 0x200, 0x20f, 16],
  ['fixed-range MTRRs', 0x268, 0x26f, 8],
  ['the default memory type', 0x2ff, 0x2ff, 1],
  ['addresses of machine-check banks', 0x402, 0x402, 1],
] as const)
  test(`${what} are restored`, { skip: noKvm }, async () => {
    await using m = await machine({ apic: 'xapic' });
    const { vcpu } = m.vcpu(0);
    const changed = Array.from({ length: last - first + 1 }, (_, at) => first + at).filter((index) =>
      change(vcpu, index),
    );
    assert.ok(changed.length >= least, `${changed.length} could be changed`);
    const before = vcpu.getMsrs(changed);
    restored(saveMachineState(m.kvm, m.vm), (other) => assert.deepEqual(other.getMsrs(changed), before));
  });

test('every machine-check bank is', { skip: noKvm }, async () => {
  await using m = await machine({ apic: 'xapic' });
  const { vcpu } = m.vcpu(0);
  const banks = Number(vcpu.getMsr(0x179) & 0xffn);
  assert.ok(banks > 0);
  const all = Array.from({ length: banks }, (_, bank) => [1, 2, 3].map((part) => 0x400 + 4 * bank + part)).flat();
  for (const index of all) vcpu.setMsr(index, BigInt(index) << 12n);
  restored(saveMachineState(m.kvm, m.vm), (other) =>
    assert.deepEqual(
      other.getMsrs(all),
      all.map((index) => BigInt(index) << 12n),
    ),
  );
});

test('a synthetic timer that has expired stays so', { skip: noKvm || noSynic() }, async () => {
  await using m = await machine({ apic: 'xapic', synic: 'keep' });
  const { vcpu } = m.vcpu(0);
  vcpu.setMsr(timers.count, 0x1000n);
  // Auto-enabled, to SINT 2, and not running.
  vcpu.setMsr(timers.config, 0x2_0008n);
  assert.deepEqual(vcpu.getMsrs([timers.config, timers.count]), [0x2_0008n, 0x1000n]);
  restored(saveMachineState(m.kvm, m.vm), (other) =>
    assert.deepEqual(other.getMsrs([timers.config, timers.count]), [0x2_0008n, 0x1000n]),
  );
});

function noSynic(): string | false {
  if (noKvm) return noKvm;
  using kvm = Kvm.open();
  return kvm.checkExtension('KVM_CAP_HYPERV_SYNIC2') === 0 && 'this kernel does not offer KVM_CAP_HYPERV_SYNIC2';
}
