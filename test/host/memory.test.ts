import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GuestMemory, Kvm, type MemorySlot, type Vm } from '../../lib/index.ts';
import { errorOf, noKvm } from '../support/host.ts';

test('memory that cannot be allocated', () => {
  assert.equal(errorOf(() => GuestMemory.allocate(0)).code, 'ERR_ARGUMENT');
  assert.equal(errorOf(() => GuestMemory.allocate(-4096)).code, 'ERR_ARGUMENT');
  assert.equal(errorOf(() => GuestMemory.allocate(4097)).code, 'ERR_MEMORY_ALIGNMENT');
  const tooMuch = errorOf(() => GuestMemory.allocate(2 ** 52)) as { code: string; ioctl?: string; errno?: number };
  assert.deepEqual([tooMuch.code, tooMuch.ioctl, tooMuch.errno], ['ERR_LIMIT', 'mmap', 12]);
});

test('reads and writes stay inside', () => {
  using memory = GuestMemory.allocate(4096);
  memory.write(4094, Uint8Array.of(1, 2));
  assert.deepEqual([...memory.read(4093, 3)], [0, 1, 2]);
  assert.equal(errorOf(() => memory.write(4095, Uint8Array.of(1, 2))).code, 'ERR_MEMORY_RANGE');
  assert.equal(errorOf(() => memory.read(-1, 1)).code, 'ERR_MEMORY_RANGE');
});

test('a view that outlives its memory is empty, not dangling', () => {
  const memory = GuestMemory.allocate(4096);
  const { bytes } = memory;
  assert.equal(bytes.length, 4096);
  memory.close();
  assert.equal(bytes.length, 0);
  assert.equal(errorOf(() => memory.bytes).code, 'ERR_CLOSED');
});

function withVm(use: (vm: Vm, memory: GuestMemory) => void): void {
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  using memory = GuestMemory.allocate(0x10000);
  use(vm, memory);
}

const refusals: [what: string, slot: Partial<MemorySlot>, code: string][] = [
  ['overlaps at its start', { guestPhysAddr: 0x10000 }, 'ERR_MEMORY_OVERLAP'],
  ['overlaps at its end', { guestPhysAddr: 0x8000 }, 'ERR_MEMORY_OVERLAP'],
  ['lies within another', { guestPhysAddr: 0x14000, size: 0x1000 }, 'ERR_MEMORY_OVERLAP'],
  ['an address inside a page', { guestPhysAddr: 0x30800 }, 'ERR_MEMORY_ALIGNMENT'],
  ['a size inside a page', { guestPhysAddr: 0x30000, size: 0x800 }, 'ERR_MEMORY_ALIGNMENT'],
  ['an offset inside a page', { guestPhysAddr: 0x30000, offset: 8, size: 0x1000 }, 'ERR_MEMORY_ALIGNMENT'],
  ['a size past the end', { guestPhysAddr: 0x30000, size: 0x20000 }, 'ERR_ARGUMENT'],
  ['no size', { guestPhysAddr: 0x30000, size: 0 }, 'ERR_ARGUMENT'],
  ['a negative address', { guestPhysAddr: -4096 }, 'ERR_ARGUMENT'],
  ['a slot number that is none', { guestPhysAddr: 0x30000, slot: -1 }, 'ERR_ARGUMENT'],
  ['a slot beyond the kernel', { guestPhysAddr: 0x30000, slot: 0x7fff }, 'ERR_IOCTL'],
];

for (const [what, slot, code] of refusals) {
  test(`a second slot: ${what}`, { skip: noKvm }, () => {
    withVm((vm, memory) => {
      vm.setMemory({ slot: 0, guestPhysAddr: 0x10000, memory });
      assert.equal(errorOf(() => vm.setMemory({ slot: 1, guestPhysAddr: 0, memory, ...slot })).code, code);
      // The refused slot left nothing behind: the same number works elsewhere.
      vm.setMemory({ slot: 1, guestPhysAddr: 0x40000, memory });
    });
  });
}

test('a removed slot makes room', { skip: noKvm }, () => {
  withVm((vm, memory) => {
    vm.setMemory({ slot: 0, guestPhysAddr: 0, memory });
    assert.equal(errorOf(() => vm.setMemory({ slot: 1, guestPhysAddr: 0, memory })).code, 'ERR_MEMORY_OVERLAP');
    vm.removeMemory(0);
    assert.equal(vm.hasMemory, false);
    vm.setMemory({ slot: 1, guestPhysAddr: 0, memory });
  });
});

test('memory closed before it is mapped', { skip: noKvm }, () => {
  withVm((vm, memory) => {
    memory.close();
    assert.equal(errorOf(() => vm.setMemory({ slot: 0, guestPhysAddr: 0, memory, size: 4096 })).code, 'ERR_CLOSED');
  });
});
