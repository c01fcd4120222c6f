import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GuestMemory, type IoctlError, out8, read32, smmSlot, store32, type Vm, write32 } from '../../lib/index.ts';
import { DONE, type Guest, lacks, withGuest } from '../support/guest32.ts';
import { errorOf, noKvm } from '../support/host.ts';

/** A second slot far from the guest's code, with 100 pages. */
const FAR = 0x1000_0000;
const PAGES = 100;

function withFar(
  { before = () => {}, ...options }: { readonly?: boolean; logDirtyPages?: boolean; before?: (vm: Vm) => void },
  use: (guest: Guest, far: GuestMemory) => void,
): void {
  using far = GuestMemory.allocate(PAGES * 4096);
  withGuest({ before }, (g) => {
    g.vm.setMemory({ ...options, slot: 1, guestPhysAddr: FAR, memory: far });
    use(g, far);
  });
}

function runToEnd(g: Guest): void {
  const exit = g.run();
  assert.equal(exit.name === 'KVM_EXIT_IO' && exit.port, DONE, exit.name);
}

test('a slot is moved, and the guest finds it at its new place', { skip: noKvm }, () => {
  withFar({}, (g, far) => {
    g.vm.setMemory({ slot: 1, guestPhysAddr: 2 * FAR, memory: far });
    g.load([write32(2 * FAR + 8, 0x1234_5678), out8(DONE)]);
    runToEnd(g);
    assert.equal(far.view.getUint32(8, true), 0x1234_5678);
    g.load([write32(FAR + 8, 1), out8(DONE)]);
    assert.equal(g.run().name, 'KVM_EXIT_MMIO', 'nothing is at the old one');
  });
});

test('what the kernel does not change in place is refused', { skip: noKvm }, () => {
  withFar({}, ({ vm }, far) => {
    const refused = errorOf(() => vm.setMemory({ slot: 1, guestPhysAddr: FAR, memory: far, size: 4096 })) as IoctlError;
    assert.deepEqual([refused.ioctl, refused.errnoName], ['KVM_SET_USER_MEMORY_REGION', 'EINVAL']);
    assert.equal(vm.slots.get(1)?.size, PAGES * 4096, 'the slot is as it was');
  });
});

test('KVM_MEM_READONLY: reads are memory, a write is an exit', { skip: noKvm || lacks('KVM_CAP_READONLY_MEM') }, () => {
  withFar({ readonly: true }, (g, far) => {
    far.view.setUint32(0x40, 0xabcd_ef01, true);
    g.load([read32(FAR + 0x40), store32(0xc000), write32(FAR + 0x40, 7), out8(DONE)]);
    const exit = g.run();
    assert.equal(exit.name, 'KVM_EXIT_MMIO');
    assert.deepEqual([exit.physAddr, exit.isWrite], [BigInt(FAR + 0x40), true]);
    assert.equal(g.memory.view.getUint32(0xc000, true), 0xabcd_ef01);
    assert.equal(far.view.getUint32(0x40, true), 0xabcd_ef01);
    runToEnd(g);
  });
});

test('KVM_GET_DIRTY_LOG: the pages that the guest wrote, once', { skip: noKvm }, () => {
  withFar({ logDirtyPages: true }, (g) => {
    assert.deepEqual(g.vm.getDirtyLog(1), []);
    g.load([write32(FAR, 1), write32(FAR + 7 * 4096, 1), write32(FAR + 99 * 4096 + 4092, 1), out8(DONE)]);
    runToEnd(g);
    assert.deepEqual(g.vm.getDirtyLog(1), [0, 7, 99]);
    assert.deepEqual(g.vm.getDirtyLog(1), []);
    g.load([write32(FAR + 7 * 4096, 2), out8(DONE)]);
    runToEnd(g);
    assert.deepEqual(g.vm.getDirtyLog(1), [7]);
  });
});

test('KVM_CLEAR_DIRTY_LOG: pages stay dirty until they are cleared', {
  skip: noKvm || lacks('KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2'),
}, () => {
  const before = (vm: Vm) => vm.enableCap('KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2', [1n]);
  withFar({ logDirtyPages: true, before }, (g) => {
    const pages = [3, 64, 70, 99];
    g.load([...pages.map((page) => write32(FAR + page * 4096, 1)), out8(DONE)]);
    runToEnd(g);
    assert.deepEqual(g.vm.getDirtyLog(1), pages);
    assert.deepEqual(g.vm.getDirtyLog(1), pages, 'reading does not clear');
    g.vm.clearDirtyLog(1, [70, 99]);
    assert.deepEqual(g.vm.getDirtyLog(1), [3, 64]);
    g.vm.clearDirtyLog(1, []);
    g.vm.clearDirtyLog(1, [64, 3]);
    assert.deepEqual(g.vm.getDirtyLog(1), []);
    g.load([write32(FAR + 70 * 4096, 2), out8(DONE)]);
    runToEnd(g);
    assert.deepEqual(g.vm.getDirtyLog(1), [70]);
  });
});

test('dirty logs that are none', { skip: noKvm }, () => {
  withFar({}, ({ vm }) => {
    const notLogged = errorOf(() => vm.getDirtyLog(1)) as IoctlError;
    assert.deepEqual([notLogged.ioctl, notLogged.errnoName], ['KVM_GET_DIRTY_LOG', 'ENOENT']);
    assert.equal(errorOf(() => vm.getDirtyLog(2)).code, 'ERR_ARGUMENT');
    assert.equal(errorOf(() => vm.getDirtyLog(-1)).code, 'ERR_ARGUMENT');
    assert.equal(errorOf(() => vm.clearDirtyLog(1, [PAGES])).code, 'ERR_ARGUMENT');
    assert.equal((errorOf(() => vm.clearDirtyLog(1, [0])) as IoctlError).ioctl, 'KVM_CLEAR_DIRTY_LOG');
  });
});

test('logging is switched on for a slot that has memory', { skip: noKvm }, () => {
  withFar({}, (g, far) => {
    g.vm.setMemory({ slot: 1, guestPhysAddr: FAR, memory: far, logDirtyPages: true });
    g.load([write32(FAR + 5 * 4096, 1), out8(DONE)]);
    runToEnd(g);
    assert.deepEqual(g.vm.getDirtyLog(1), [5]);
  });
});

test('KVM_SET_TSS_ADDR and KVM_SET_IDENTITY_MAP_ADDR', {
  skip: noKvm || lacks('KVM_CAP_SET_IDENTITY_MAP_ADDR'),
}, () => {
  withGuest(
    {
      before: (vm) => {
        vm.setIdentityMapAddr(0xfffb_c000);
        assert.equal(errorOf(() => vm.setTssAddr(-1)).code, 'ERR_ARGUMENT');
        assert.equal(errorOf(() => vm.setTssAddr(2 ** 32)).code, 'ERR_ARGUMENT');
        assert.equal(errorOf(() => vm.setIdentityMapAddr(-1)).code, 'ERR_ARGUMENT');
      },
    },
    (g) => {
      assert.deepEqual(g.vm.setup, { tssAddr: 0xfffb_d000, identityMapAddr: 0xfffb_c000n, bootCpuId: null });
      // KVM has no ioctl that tells them, and uses them on Intel hosts without unrestricted guests alone: there the guest
      // below would not run without.
      g.load([out8(DONE)]);
      runToEnd(g);
      const late = errorOf(() => g.vm.setIdentityMapAddr(0)) as IoctlError;
      assert.deepEqual([late.ioctl, late.errnoName], ['KVM_SET_IDENTITY_MAP_ADDR', 'EINVAL']);
    },
  );
});

test('a slot of SMM lies beside one of the same addresses, and the guest does not see it outside of SMM', {
  skip: noKvm,
}, (t) => {
  withFar({}, (g, far) => {
    if (g.vm.checkExtension('KVM_CAP_MULTI_ADDRESS_SPACE') < 2) return t.skip('this KVM has one address space');
    using smm = GuestMemory.allocate(4096);
    smm.view.setUint32(8, 0x5555_5555, true);
    g.vm.setMemory({ slot: smmSlot(0), guestPhysAddr: FAR, memory: smm });
    assert.equal(g.vm.slots.get(0x1_0000)?.guestPhysAddr, BigInt(FAR));
    const overlap = errorOf(() => g.vm.setMemory({ slot: smmSlot(1), guestPhysAddr: FAR, memory: smm }));
    assert.equal(overlap.code, 'ERR_MEMORY_OVERLAP');
    g.load([write32(FAR + 8, 0x1234_5678), out8(DONE)]);
    runToEnd(g);
    assert.equal(far.view.getUint32(8, true), 0x1234_5678);
    assert.equal(smm.view.getUint32(8, true), 0x5555_5555);
    g.vm.removeMemory(smmSlot(0));
    assert.equal(g.vm.slots.has(smmSlot(0)), false);
  });
});

test('a slot of another number, or of a third address space, is refused', { skip: noKvm }, () => {
  withFar({}, ({ vm }, far) => {
    for (const slot of [-1, 0x8000, 0xffff, 0x1_8000, 0x2_0000])
      assert.equal(errorOf(() => vm.setMemory({ slot, guestPhysAddr: FAR, memory: far })).code, 'ERR_ARGUMENT');
    assert.equal(errorOf(() => smmSlot(0x8000)).code, 'ERR_ARGUMENT');
  });
});
