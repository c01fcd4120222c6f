/** The addon's functions that know a vCPU and a VM by its number: whatever they are given, and after the close. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deskNumbers, type NativeVcpu, type NativeVm, nativeCalls } from '../../lib/kvm/native.ts';
import { countOut, makeGuest } from '../support/guest.ts';
import { noKvm } from '../support/host.ts';

type Call = (...args: unknown[]) => unknown;
const nativeOf = <N>(object: object) => (object as unknown as { native: N }).native;
const codeOf = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof Error);
    return (error as NodeJS.ErrnoException).code ?? error.name;
  }
  throw new Error('it was taken');
};

test('what is no number, no request of a fixed size, or no limit of time is refused', { skip: noKvm }, () => {
  using guest = makeGuest();
  const open = guest.program(0, countOut(0x42));
  const vcpu = nativeOf<NativeVcpu>(open);
  const vm = nativeOf<NativeVm>(guest.vm);
  const { enter, askVcpu, askVm, sendMsi } = nativeCalls() as unknown as Record<string, Call>;
  const desk = new Float64Array(vcpu.desk, 0, 4);
  for (const seconds of [Number.NaN, 0, -1, 2e9, Number.POSITIVE_INFINITY]) {
    desk[deskNumbers.seconds] = seconds;
    assert.equal(
      codeOf(() => enter!(vcpu.number)),
      'ERR_ARGUMENT',
      String(seconds),
    );
  }
  desk[deskNumbers.seconds] = 10;
  for (const self of [undefined, vm, {}, 1]) assert.equal(Reflect.apply(enter!, self, [vcpu.number]), 0);
  const strange = [undefined, null, '1', {}, [], 1n, Symbol('x'), () => 1, -1, 0.5, Number.NaN, 2 ** 40, 2 ** 53];
  for (const [ask, native] of [
    [askVcpu!, vcpu],
    [askVm!, vm],
  ] as const) {
    for (const value of strange) {
      assert.match(
        codeOf(() => ask(native.number, value)),
        /^ERR_(ARGUMENT|IOCTL_REFUSED)$/,
        String(value),
      );
      assert.equal(
        codeOf(() => ask(value, 0x8090_ae81)),
        'ERR_CLOSED',
        String(value),
      );
    }
    // KVM_RUN, KVM_CREATE_VCPU, KVM_SET_USER_MEMORY_REGION, KVM_ENABLE_CAP, KVM_SET_CPUID2, KVM_GET_XSAVE, TCGETS.
    for (const request of [0xae80, 0xae41, 0x4020_ae46, 0x4068_aea3, 0x4008_ae90, 0x9000_aea4, 0x5401])
      assert.equal(
        codeOf(() => ask(native.number, request)),
        'ERR_IOCTL_REFUSED',
        request.toString(16),
      );
  }
  for (const value of strange)
    assert.equal(
      codeOf(() => sendMsi!(value)),
      'ERR_CLOSED',
      String(value),
    );
  for (const value of [...strange, vm, vcpu])
    assert.equal(
      codeOf(() => (vm as unknown as Record<string, Call>).logMessages!(value)),
      'ERR_ARGUMENT',
      String(value),
    );
  const numbers = [vcpu.number, vm.number];
  open.close();
  guest.vm.close();
  assert.equal(
    codeOf(() => enter!(numbers[0])),
    'ERR_CLOSED',
  );
  assert.equal(
    codeOf(() => askVcpu!(numbers[0], 0x8090_ae81)),
    'ERR_CLOSED',
  );
  assert.equal(
    codeOf(() => askVm!(numbers[1], 0x4020_aea5)),
    'ERR_CLOSED',
  );
  assert.equal(
    codeOf(() => sendMsi!(numbers[1])),
    'ERR_CLOSED',
  );
  desk[deskNumbers.seconds] = 1;
});
