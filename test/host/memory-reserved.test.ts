import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asm, done, GuestMemory, Kvm, machine, type Vm } from '../../lib/index.ts';
import { errorOf, noKvm } from '../support/host.ts';

const APIC_PAGE = 0xfee0_0000;
const IOAPIC_PAGE = 0xfec0_0000;
const skip = { skip: noKvm };

function withVm(use: (vm: Vm, memory: GuestMemory) => void): void {
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  using memory = GuestMemory.allocate(0x4000);
  use(vm, memory);
}

/** Throws ReservedMemoryError, whose message has all of this. */
function assertReserved(action: () => unknown, ...says: readonly string[]): void {
  const error = errorOf(action);
  assert.equal(error.code, 'ERR_MEMORY_RESERVED');
  for (const part of says) assert.ok(error.message.includes(part), error.message);
}

test('memory over the page of an in-kernel interrupt controller is refused', skip, () => {
  for (const make of [(vm: Vm) => vm.createIrqchip(), (vm: Vm) => vm.enableSplitIrqchip()])
    withVm((vm, memory) => {
      make(vm);
      const over = (guestPhysAddr: number) => () => vm.setMemory({ slot: 3, guestPhysAddr, memory });
      assertReserved(over(APIC_PAGE - 0x3000), 'slot 3', "the local APICs' page", '0xfee00000..0xfee00fff');
      if (vm.irqchip === 'full') assertReserved(over(IOAPIC_PAGE), "the IOAPIC's page");
      else over(IOAPIC_PAGE)();
      vm.setMemory({ slot: 1, guestPhysAddr: APIC_PAGE - 0x4000, memory });
      vm.setMemory({ slot: 2, guestPhysAddr: APIC_PAGE + 0x1000, memory });
    });
});

test('an interrupt controller whose page is memory already is refused', skip, () => {
  withVm((vm, memory) => {
    vm.setMemory({ slot: 0, guestPhysAddr: APIC_PAGE, memory });
    assertReserved(() => vm.createIrqchip(), 'KVM_CREATE_IRQCHIP', 'slot 0');
    assertReserved(() => vm.enableSplitIrqchip(), 'KVM_CAP_SPLIT_IRQCHIP');
    assertReserved(() => vm.enableCap('KVM_CAP_SPLIT_IRQCHIP', [24n]), 'KVM_CAP_SPLIT_IRQCHIP');
    assert.equal(vm.irqchip, 'none');
    vm.removeMemory(0);
    vm.createIrqchip();
  });
});

test('without in-kernel interrupt controllers the page may be memory, unless KVM keeps it', skip, () => {
  withVm((vm, memory) => {
    vm.setMemory({ slot: 0, guestPhysAddr: APIC_PAGE, memory });
    vm.setMemory({ slot: 1, guestPhysAddr: IOAPIC_PAGE, memory });
    vm.createVcpu(0);
  });
});

test(
  'memory where KVM_SET_TSS_ADDR put its pages: as the kernel takes it, and told as that if it does not',
  skip,
  () => {
    for (const first of ['memory', 'tss'])
      withVm((vm, memory) => {
        const map = () => vm.setMemory({ slot: 0, guestPhysAddr: 0xfffb_d000, memory });
        const tss = () => vm.setTssAddr(0xfffb_d000);
        const [one, two] = first === 'memory' ? [map, tss] : [tss, map];
        one();
        let error: unknown;
        try {
          two();
        } catch (thrown) {
          error = thrown;
        }
        // AMD's KVM has no such pages.
        if (error === undefined) return;
        assertReserved(two, 'KVM_SET_TSS_ADDR chose', 'EEXIST');
      });
  },
);

test('a machine with much memory leaves the hole, and goes on at 4 GiB', skip, async () => {
  await using m = await machine({ memory: 0xff00_0000 });
  assert.deepEqual(
    [...m.vm.slots.values()].map(({ guestPhysAddr, offset, size }) => [guestPhysAddr, offset, size]),
    [
      [0n, 0, 0xfec0_0000],
      [0x1_0000_0000n, 0xfec0_0000, 0x40_0000],
    ],
  );
  m.vcpu(0).program(asm.long64`
    mov eax, [0xfee00030]
    mov [${m.shared}], eax
    ${done()}`);
  await m.run({ until: 'done' });
  assert.equal(m.memory.view.getUint32(m.shared, true), m.vcpu(0).vcpu.lapic().registers.VERSION, 'the LAPIC is there');
  m.memory.view.setUint32(0xfec0_0000, 0x1234_5678, true);
});
