import assert from 'node:assert/strict';
import { test } from 'node:test';
import { _IO, _IOR, _IOW, _IOWR, GuestMemory, type IoctlError, ioctls, Kvm } from '../../lib/index.ts';
import { type Guest, withGuest } from '../support/guest32.ts';
import { errorOf, noKvm } from '../support/host.ts';

test('requests of each kind: a number, a buffer in, a buffer out', { skip: noKvm }, () => {
  withGuest({}, ({ kvm, vm, vcpu }) => {
    assert.equal(kvm.ioctlRaw(ioctls.KVM_GET_API_VERSION), 12);
    assert.equal(vm.ioctlRaw(ioctls.KVM_CHECK_EXTENSION, 0), 1);
    const state = new Uint32Array([3]);
    vcpu.ioctlRaw(ioctls.KVM_SET_MP_STATE, state);
    assert.equal(vcpu.getMpState(), 3);
    const back = new DataView(new ArrayBuffer(12), 4, 4);
    vcpu.ioctlRaw(ioctls.KVM_GET_MP_STATE, back);
    assert.equal(back.getUint32(0, true), 3);
  });
});

test('a buffer has the size that the request encodes', { skip: noKvm }, () => {
  withGuest({}, ({ vm, vcpu }) => {
    for (const size of [0, 3, 5, 8])
      assert.equal(errorOf(() => vcpu.ioctlRaw(ioctls.KVM_GET_MP_STATE, new Uint8Array(size))).code, 'ERR_ARGUMENT');
    assert.equal(errorOf(() => vcpu.ioctlRaw(ioctls.KVM_GET_MP_STATE)).code, 'ERR_ARGUMENT');
    assert.equal(errorOf(() => vcpu.ioctlRaw(ioctls.KVM_GET_MP_STATE, 0x1000)).code, 'ERR_ARGUMENT', 'no address');
    assert.equal(errorOf(() => vcpu.ioctlRaw(ioctls.KVM_NMI, new Uint8Array(4))).code, 'ERR_IOCTL_REFUSED');
    const detached = new Uint8Array(4);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    assert.equal(errorOf(() => vcpu.ioctlRaw(ioctls.KVM_GET_MP_STATE, detached)).code, 'ERR_ARGUMENT');
    const shared = new Uint8Array(new SharedArrayBuffer(4));
    assert.equal(errorOf(() => vcpu.ioctlRaw(ioctls.KVM_GET_MP_STATE, shared)).code, 'ERR_ARGUMENT');
    for (const what of ['text', null, {}, [1, 2, 3, 4], true])
      assert.equal(errorOf(() => vcpu.ioctlRaw(ioctls.KVM_GET_MP_STATE, what as never)).code, 'ERR_ARGUMENT');
    for (const request of [-1, 1.5, 2 ** 32, Number.NaN, '1'])
      assert.equal(errorOf(() => vm.ioctlRaw(request as never)).code, 'ERR_ARGUMENT', String(request));
    for (const argument of [-1, 1.5, 2 ** 53])
      assert.equal(errorOf(() => vm.ioctlRaw(ioctls.KVM_CHECK_EXTENSION, argument)).code, 'ERR_ARGUMENT');
  });
});

test('a list is as long as its count says', { skip: noKvm }, () => {
  withGuest({}, ({ kvm, vcpu }) => {
    const list = (count: number, room: number) => {
      const buffer = new Uint8Array(8 + room * 16);
      new DataView(buffer.buffer).setUint32(0, count, true);
      return buffer;
    };
    for (const [count, room] of [
      [1, 0],
      [2, 1],
      [0xffff_ffff, 4],
      [0x1000_0000, 0],
    ] as const)
      assert.equal(errorOf(() => vcpu.ioctlRaw(ioctls.KVM_GET_MSRS, list(count, room))).code, 'ERR_ARGUMENT');
    const one = list(1, 1);
    new DataView(one.buffer).setUint32(8, 0x10, true);
    assert.equal(vcpu.ioctlRaw(ioctls.KVM_GET_MSRS, one), 1);
    assert.equal(errorOf(() => kvm.ioctlRaw(ioctls.KVM_GET_MSR_INDEX_LIST, new Uint8Array(4))).code, 'ERR_IOCTL');
    // KVM_GET_REG_LIST counts in 64 bits: a count whose lower half is 0 is not none.
    const registers = new Uint8Array(8);
    new DataView(registers.buffer).setBigUint64(0, 1n << 32n, true);
    assert.equal(errorOf(() => vcpu.ioctlRaw(ioctls.KVM_GET_REG_LIST, registers)).code, 'ERR_ARGUMENT');
  });
});

test('what is in memory that a guest shares is copied before it is checked', { skip: noKvm }, () => {
  withGuest({}, ({ vcpu }) => {
    using memory = GuestMemory.allocate(4096);
    memory.view.setUint32(0, 1, true);
    memory.view.setUint32(8, 0x174, true);
    vcpu.setMsr(0x174, 0x1234n);
    assert.equal(vcpu.ioctlRaw(ioctls.KVM_GET_MSRS, memory.bytes.subarray(0, 24)), 1);
    assert.equal(memory.view.getBigUint64(16, true), 0x1234n, 'and copied back');
  });
});

const carriers = [
  'KVM_CREATE_VM',
  'KVM_CREATE_VCPU',
  'KVM_RUN',
  'KVM_SET_USER_MEMORY_REGION',
  'KVM_SET_USER_MEMORY_REGION2',
  'KVM_GET_DIRTY_LOG',
  'KVM_CLEAR_DIRTY_LOG',
  'KVM_REINJECT_CONTROL',
  'KVM_IRQFD',
  'KVM_IOEVENTFD',
  'KVM_X86_SET_MSR_FILTER',
  'KVM_CREATE_DEVICE',
  'KVM_SET_DEVICE_ATTR',
  'KVM_GET_DEVICE_ATTR',
  'KVM_HAS_DEVICE_ATTR',
  'KVM_GET_STATS_FD',
  'KVM_SET_SIGNAL_MASK',
  'KVM_GET_ONE_REG',
  'KVM_SET_ONE_REG',
  'KVM_XEN_HVM_CONFIG',
  'KVM_XEN_HVM_SET_ATTR',
  'KVM_XEN_VCPU_SET_ATTR',
  'KVM_MEMORY_ENCRYPT_OP',
  'KVM_HYPERV_EVENTFD',
  'KVM_CREATE_GUEST_MEMFD',
  'KVM_GET_NESTED_STATE',
  'KVM_SET_NESTED_STATE',
] as const;

test('requests that carry an address or a file descriptor, or run a guest, are refused on each object', {
  skip: noKvm,
}, () => {
  withGuest({}, ({ kvm, vm, vcpu }: Guest) => {
    for (const name of carriers)
      for (const handle of [kvm, vm, vcpu] as Pick<Kvm, 'ioctlRaw'>[]) {
        const size = (ioctls[name] >>> 16) & 0x3fff;
        const error = errorOf(() => handle.ioctlRaw(ioctls[name], size ? new Uint8Array(size) : 0));
        assert.equal(error.code, 'ERR_IOCTL_REFUSED', name);
        assert.match(error.advice, /docs\/kvm-api\.md/);
      }
    // Whatever size and direction the number claims.
    for (const request of [_IOW(0x46, 8), _IO(0x46), _IOR(0x76, 4), _IOWR(0x80, 16)])
      assert.equal(
        errorOf(() => vm.ioctlRaw(request, new Uint8Array((request >>> 16) & 0x3fff))).code,
        'ERR_IOCTL_REFUSED',
      );
    assert.equal(
      errorOf(() => vm.ioctlRaw(_IOR(0x01, 4, 0x54), new Uint8Array(4))).code,
      'ERR_IOCTL_REFUSED',
      "not KVM's",
    );
  });
});

test("an unknown request is the kernel's to refuse", { skip: noKvm }, () => {
  withGuest({}, ({ vm }) => {
    const error = errorOf(() => vm.ioctlRaw(_IOW(0xf7, 16), new Uint8Array(16))) as IoctlError;
    assert.deepEqual([error.code, error.errnoName, error.ioctl], ['ERR_IOCTL', 'ENOTTY', '_IOW(0xae, 0xf7, 16 bytes)']);
  });
});

test('on a closed object', { skip: noKvm }, () => {
  withGuest({}, ({ kvm, vm, vcpu }) => {
    vm.close();
    kvm.close();
    for (const handle of [kvm, vm, vcpu] as Pick<Kvm, 'ioctlRaw'>[])
      assert.equal(errorOf(() => handle.ioctlRaw(ioctls.KVM_CHECK_EXTENSION, 0)).code, 'ERR_CLOSED');
  });
});

test('an argument that cannot be read: EFAULT, and only for a request that reads its argument', { skip: noKvm }, () => {
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  vm.createIrqchip();
  const error = errorOf(() => vm.ioctlUnreadable(ioctls.KVM_IRQ_LINE)) as IoctlError;
  assert.deepEqual([error.code, error.errnoName, error.ioctl], ['ERR_IOCTL', 'EFAULT', 'KVM_IRQ_LINE']);
  for (const request of [ioctls.KVM_CHECK_EXTENSION, ioctls.KVM_GET_CLOCK, ioctls.KVM_SET_USER_MEMORY_REGION, 0x5401])
    assert.equal(errorOf(() => vm.ioctlUnreadable(request)).code, 'ERR_IOCTL_REFUSED');
  assert.equal(errorOf(() => vm.ioctlUnreadable(-1)).code, 'ERR_ARGUMENT');
  vm.close();
  assert.equal(errorOf(() => vm.ioctlUnreadable(ioctls.KVM_IRQ_LINE)).code, 'ERR_CLOSED');
});
