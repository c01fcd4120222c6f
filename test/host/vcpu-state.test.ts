import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  cpuid,
  cpuidEntry,
  hidePvIpi,
  hideX2apic,
  hlt,
  type Instruction,
  type IoctlError,
  insertBreakpoint,
  int3,
  type MsrRefusedError,
  mov32,
  mpStates,
  nop,
  out8,
  out8Value,
  spin,
  sti,
  store32,
  write32,
  wrmsr,
} from '../../lib/index.ts';
import {
  CODE,
  DATA,
  DONE,
  type Guest,
  lacks,
  noBreakpoints,
  noSingleStep,
  pvm,
  vectorOf,
  withGuest,
} from '../support/guest32.ts';
import { errorOf, noKvm } from '../support/host.ts';

function assertDone(g: Guest): void {
  const exit = g.run();
  assert.equal(exit.name === 'KVM_EXIT_IO' && exit.port, DONE, exit.name);
}

const debugSkip = noKvm || lacks('KVM_CAP_SET_GUEST_DEBUG');
const breakSkip = debugSkip || noBreakpoints;

/** Why data breakpoints and INT3 do not work here, or `false`. */
function emulates(g: Guest): string | false {
  const count = () => g.vcpu.stats().get('insn_emulation')?.values[0] ?? 0n;
  const before = count();
  g.load([...new Array<Instruction>(32).fill(nop), out8(DONE)]);
  assertDone(g);
  return count() - before >= 32n
    ? 'this KVM emulates each instruction of a 32-bit guest, and its emulator lacks that'
    : false;
}

test('KVM_SET_REGS: the guest has them, and gives back its own', { skip: noKvm }, () => {
  withGuest({}, (g) => {
    // mov ebx, ecx; add ecx, 1
    g.load([Uint8Array.of(0x89, 0xcb), Uint8Array.of(0x83, 0xc1, 0x01), out8(DONE)]);
    g.vcpu.setRegs({ rcx: 0x1234_5678n });
    assertDone(g);
    const { rbx, rcx } = g.vcpu.getRegs();
    assert.deepEqual([rbx, rcx], [0x1234_5678n, 0x1234_5679n]);
    assert.equal(errorOf(() => g.vcpu.setRegs({ rax: -1n })).code, 'ERR_ARGUMENT');
    assert.equal(errorOf(() => g.vcpu.setRegs({ rax: 1n << 64n })).code, 'ERR_ARGUMENT');
  });
});

test('KVM_SET_SREGS: a segment base and CR2', { skip: noKvm }, () => {
  withGuest({}, (g) => {
    g.load([write32(0x10, 0xcafe), out8(DONE)]);
    const sregs = g.vcpu.getSregs();
    g.vcpu.setSregs({ ...sregs, ds: { ...sregs.ds, base: BigInt(DATA) }, cr2: 0x5555n });
    assertDone(g);
    assert.equal(g.memory.view.getUint32(DATA + 0x10, true), 0xcafe);
    assert.equal(g.vcpu.getSregs().cr2, 0x5555n);
    const bad = errorOf(() => g.vcpu.setSregs({ ...sregs, cr4: 1n << 63n })) as IoctlError;
    assert.deepEqual([bad.ioctl, bad.errnoName], ['KVM_SET_SREGS', 'EINVAL']);
  });
});

test('KVM_SET_SREGS2: the same registers by the newer call', { skip: noKvm || lacks('KVM_CAP_SREGS2') }, () => {
  withGuest({}, (g) => {
    g.load([write32(0x10, 0xbeef), out8(DONE)]);
    const sregs2 = g.vcpu.getSregs2();
    assert.deepEqual(sregs2.cs, g.vcpu.getSregs().cs);
    g.vcpu.setSregs2({ ...sregs2, ds: { ...sregs2.ds, base: BigInt(DATA) } });
    assertDone(g);
    assert.equal(g.memory.view.getUint32(DATA + 0x10, true), 0xbeef);
    assert.equal((errorOf(() => g.vcpu.setSregs2({ ...sregs2, cr4: 1n << 63n })) as IoctlError).errnoName, 'EINVAL');
  });
});

test('KVM_SET_FPU, KVM_SET_XSAVE: one state, seen by both', { skip: noKvm || lacks('KVM_CAP_XSAVE') }, () => {
  withGuest({}, ({ vcpu }) => {
    const area = vcpu.getXsave();
    assert.equal(area.length, vcpu.xsaveSize);
    assert.ok(area.length >= 4096);
    // The legacy region of XSAVE: FCW at 0, MXCSR at 24, XMM0 at 160. Bits 0 and 1 of XSTATE_BV: x87 and SSE are in use.
    const view = new DataView(area.buffer);
    const xmm = Uint8Array.from({ length: 256 }, (_, index) => index);
    view.setUint16(0, 0x27f, true);
    view.setUint32(24, 0x1fa0, true);
    area.set(xmm, 160);
    area[512]! |= 3;
    vcpu.setXsave(area);
    assert.deepEqual(vcpu.getXsave(), area);
    assert.deepEqual([vcpu.getFpu().fcw, vcpu.getFpu().xmm], [0x27f, xmm]);
    vcpu.setFpu({ fcw: 0x37f });
    assert.deepEqual([vcpu.getFpu().fcw, vcpu.getFpu().xmm], [0x37f, xmm]);
    assert.equal(new DataView(vcpu.getXsave().buffer).getUint16(0, true), 0x37f);
    assert.equal(errorOf(() => vcpu.setXsave(area.slice(1))).code, 'ERR_ARGUMENT');
    assert.equal(errorOf(() => vcpu.setXsave(new Uint8Array(64 << 10))).code, 'ERR_ARGUMENT');
    // A header that asks for state components that no CPU has.
    area.fill(0xff, 512, 520);
    assert.equal((errorOf(() => vcpu.setXsave(area)) as IoctlError).errnoName, 'EINVAL');
  });
});

test('KVM_SET_XCRS: XCR0, and what the CPU does not have', { skip: noKvm || lacks('KVM_CAP_XCRS') }, () => {
  withGuest({}, ({ vcpu, kvm }) => {
    vcpu.setCpuid2(kvm.supportedCpuid());
    assert.deepEqual(vcpu.getXcrs(), [{ xcr: 0, value: 1n }]);
    vcpu.setXcrs([{ xcr: 0, value: 3n }]);
    assert.deepEqual(vcpu.getXcrs(), [{ xcr: 0, value: 3n }]);
    const bad = errorOf(() => vcpu.setXcrs([{ xcr: 0, value: 1n << 60n }])) as IoctlError;
    assert.deepEqual([bad.ioctl, bad.errnoName], ['KVM_SET_XCRS', 'EINVAL']);
    assert.equal(errorOf(() => vcpu.setXcrs(new Array(17).fill({ xcr: 0, value: 1n }))).code, 'ERR_ARGUMENT');
  });
});

test('KVM_SET_DEBUGREGS: those that are named', { skip: noKvm || lacks('KVM_CAP_DEBUGREGS') }, () => {
  withGuest({}, (g) => {
    g.vcpu.setDebugregs({ db: [1n, 2n, 3n, 4n] });
    // mov eax, dr2; mov [DATA], eax
    g.load([Uint8Array.of(0x0f, 0x21, 0xd0), store32(DATA), out8(DONE)]);
    assertDone(g);
    assert.equal(g.memory.view.getUint32(DATA, true), 3);
    assert.deepEqual(g.vcpu.getDebugregs().db, [1n, 2n, 3n, 4n]);
    assert.equal((errorOf(() => g.vcpu.setDebugregs({ dr7: 1n << 40n })) as IoctlError).errnoName, 'EINVAL');
  });
});

test('KVM_GET_MSRS and KVM_SET_MSRS: the guest writes, user space reads, and the other way', { skip: noKvm }, () => {
  withGuest({}, (g) => {
    g.load([mov32('ecx', 0x175), mov32('eax', 0x1111), mov32('edx', 0), wrmsr, out8(DONE)]);
    g.vcpu.setMsrs([
      { index: 0x174, data: 0x10n },
      { index: 0x176, data: 0x2222n },
    ]);
    assertDone(g);
    assert.deepEqual(g.vcpu.getMsrs([0x176, 0x175, 0x174]), [0x2222n, 0x1111n, 0x10n]);
    assert.deepEqual(g.vcpu.getMsrs([]), []);
  });
});

test('an MSR that is refused is named, and what came before it is set', { skip: noKvm }, () => {
  withGuest({}, ({ vcpu }) => {
    const read = errorOf(() => vcpu.getMsrs([0x174, 0xdead, 0x175])) as MsrRefusedError;
    assert.deepEqual([read.code, read.ioctl, read.index, read.done], ['ERR_MSR_REFUSED', 'KVM_GET_MSRS', 0xdead, 1]);
    const list = [
      { index: 0x174, data: 0x99n },
      { index: 0xdead, data: 5n },
      { index: 0x175, data: 0x98n },
    ];
    const write = errorOf(() => vcpu.setMsrs(list)) as MsrRefusedError;
    assert.deepEqual([write.ioctl, write.index, write.done], ['KVM_SET_MSRS', 0xdead, 1]);
    assert.match(write.message, /0xdead = 0x5/);
    assert.deepEqual(vcpu.getMsrs([0x174, 0x175]), [0x99n, 0n]);
    assert.equal(errorOf(() => vcpu.getMsr(-1)).code, 'ERR_ARGUMENT');
    assert.equal(errorOf(() => vcpu.setMsr(0x174, 1n << 64n)).code, 'ERR_ARGUMENT');
    // More than one call's worth: the index counts over the whole list.
    const many = [...new Array<number>(300).fill(0x174), 0xdead];
    assert.equal((errorOf(() => vcpu.getMsrs(many)) as MsrRefusedError).done, 300);
    assert.equal(vcpu.getMsrs(many.slice(0, 300)).length, 300);
  });
});

test('KVM_GET_MSR_INDEX_LIST and the feature list', { skip: noKvm }, () => {
  withGuest({}, ({ kvm, vcpu }) => {
    const indices = kvm.msrIndexList();
    assert.ok(indices.includes(0x10) && indices.includes(0x174), 'TSC and SYSENTER_CS');
    // Whether an emulated CPU's TSC has moved yet, nobody knows.
    assert.equal(typeof vcpu.getMsr(0x10), 'bigint');
    vcpu.setMsr(0x174, 8n);
    assert.equal(vcpu.getMsr(0x174), 8n);
    assert.ok(Array.isArray(kvm.msrFeatureIndexList()));
  });
});

test('KVM_SET_CPUID2: the guest sees it; the helpers hide', { skip: noKvm }, () => {
  withGuest({}, (g) => {
    const supported = g.kvm.supportedCpuid();
    assert.ok((cpuidEntry(supported, 1)!.ecx >>> 21) & 1, 'KVM offers the x2APIC');
    const hidden = hidePvIpi(hideX2apic(supported));
    assert.equal((cpuidEntry(hidden, 1)!.ecx >>> 21) & 1, 0);
    assert.equal((cpuidEntry(hidden, 0x4000_0001)!.eax >>> 11) & 1, 0);
    g.vcpu.setCpuid2(hidden);
    assert.deepEqual(cpuidEntry(g.vcpu.getCpuid2(), 0x4000_0001)?.eax, cpuidEntry(hidden, 0x4000_0001)?.eax);
    // mov eax, ecx in between: store32 stores eax.
    g.load([mov32('eax', 1), mov32('ecx', 0), cpuid, Uint8Array.of(0x89, 0xc8), store32(DATA), out8(DONE)]);
    assertDone(g);
    assert.equal((g.memory.view.getUint32(DATA, true) >>> 21) & 1, 0);
    // APIC base bit 10 is x2APIC mode: without the CPUID bit there is none.
    const sregs = g.vcpu.getSregs();
    assert.equal(
      (errorOf(() => g.vcpu.setSregs({ ...sregs, apicBase: sregs.apicBase | 0x400n })) as IoctlError).errnoName,
      'EINVAL',
    );
    assert.equal(errorOf(() => g.vcpu.setCpuid2(new Array(257).fill({}))).code, 'ERR_ARGUMENT');
    assert.ok(Array.isArray(g.kvm.emulatedCpuid()));
  });
});

test('KVM_SET_LAPIC: registers by name, seen by the guest', { skip: noKvm }, () => {
  withGuest({}, (g) => {
    g.vcpu.setLapicRegisters({ SVR: 0x1ef, LDR: 0x0200_0000, TPR: 0x30 });
    // mov eax, [SVR]; mov [DATA], eax
    g.load([Uint8Array.of(0xa1, 0xf0, 0x00, 0xe0, 0xfe), store32(DATA), out8(DONE)]);
    assertDone(g);
    assert.equal(g.memory.view.getUint32(DATA, true), 0x1ef);
    const { registers, softwareEnabled, apicId } = g.vcpu.lapic();
    assert.deepEqual([registers.LDR, registers.TPR, softwareEnabled, apicId], [0x0200_0000, 0x30, true, 0]);
    g.load([write32(0xfee0_0080, 0x50), out8(DONE)]);
    assertDone(g);
    assert.equal(g.vcpu.lapic().registers.TPR, 0x50);
    assert.equal(errorOf(() => g.vcpu.setLapicRegisters({ NONE: 1 } as never)).code, 'ERR_ARGUMENT');
    assert.equal(errorOf(() => g.vcpu.setLapicRegisters({ SVR: -1 })).code, 'ERR_ARGUMENT');
    assert.equal(errorOf(() => g.vcpu.setLapic(new Uint8Array(1023))).code, 'ERR_ARGUMENT');
  });
});

test('KVM_SET_MP_STATE: a halted guest waits for its interrupt', { skip: noKvm }, () => {
  withGuest({}, (g) => {
    g.handle(0x44);
    g.load([nop, spin], { interrupts: true });
    g.vcpu.setLapicRegisters({ SVR: 0x1ff });
    g.vcpu.setMpState(mpStates.KVM_MP_STATE_HALTED);
    assert.equal(errorOf(() => g.vcpu.run({ deadline: 20 })).code, 'ERR_DEADLINE');
    assert.deepEqual([g.vcpu.getMpState(), g.vcpu.getRegs().rip], [mpStates.KVM_MP_STATE_HALTED, BigInt(CODE)]);
    g.vm.signalMsi({ addressLo: 0xfee0_0000, data: 0x44 });
    assert.equal(vectorOf(g.run()), 0x44);
    assert.equal(g.vcpu.getMpState(), mpStates.KVM_MP_STATE_RUNNABLE);
    assert.equal((errorOf(() => g.vcpu.setMpState(77)) as IoctlError).ioctl, 'KVM_SET_MP_STATE');
  });
});

test('KVM_NMI, and KVM_GET_VCPU_EVENTS sees it before the guest does', { skip: noKvm }, () => {
  withGuest({}, (g) => {
    g.handle(2);
    g.load([nop, spin]);
    assert.equal(g.vcpu.getVcpuEvents().nmi.pending, 0);
    g.vcpu.nmi();
    assert.equal(g.vcpu.getVcpuEvents().nmi.pending, 1);
    assert.equal(vectorOf(g.run()), 2);
    const { nmi } = g.vcpu.getVcpuEvents();
    assert.deepEqual([nmi.pending, nmi.masked], [0, 1], 'masked until IRET');
  });
});

test('KVM_SET_VCPU_EVENTS: a pending NMI taken back, an exception injected', { skip: noKvm }, () => {
  withGuest({}, (g) => {
    g.handle(2, 6);
    g.load([nop, out8(DONE)]);
    g.vcpu.nmi();
    const events = g.vcpu.getVcpuEvents();
    g.vcpu.setVcpuEvents({ nmi: { ...events.nmi, pending: 0 }, flags: events.flags | 1 });
    assertDone(g);
    g.load([nop, spin]);
    const exception = { injected: 1, nr: 6, hasErrorCode: 0, pending: 0, errorCode: 0 };
    g.vcpu.setVcpuEvents({ exception });
    assert.equal(vectorOf(g.run()), 6);
    assert.equal((errorOf(() => g.vcpu.setVcpuEvents({ flags: 0x8000_0000 })) as IoctlError).errnoName, 'EINVAL');
  });
});

test('single step: one exit for each instruction', { skip: debugSkip || noSingleStep }, () => {
  withGuest({}, (g) => {
    g.load([nop, mov32('eax', 7), nop, out8(DONE)]);
    g.vcpu.debug({ singleStep: true });
    for (const offset of [1, 6, 7]) {
      const exit = g.run();
      assert.equal(exit.name, 'KVM_EXIT_DEBUG');
      assert.equal(g.vcpu.getRegs().rip, BigInt(CODE + offset));
      assert.equal((exit.dr6 >> 14n) & 1n, 1n, 'DR6.BS');
    }
    g.vcpu.debug({});
    assertDone(g);
  });
});

test('a hardware breakpoint stops before its instruction', { skip: breakSkip }, () => {
  withGuest({}, (g) => {
    g.load([nop, nop, mov32('eax', 7), out8(DONE)]);
    g.vcpu.debug({ hardware: [{ address: 0x9999 }, { address: CODE + 2 }] });
    const exit = g.run();
    assert.equal(exit.name, 'KVM_EXIT_DEBUG');
    assert.deepEqual([exit.pc, exit.dr6 & 0xfn], [BigInt(CODE + 2), 2n], 'breakpoint 1');
    g.vcpu.debug({});
    assertDone(g);
  });
});

test('a hardware watchpoint stops behind the write', { skip: breakSkip }, (t) => {
  withGuest({}, (g) => {
    const why = emulates(g);
    if (why) return t.skip(why);
    g.load([nop, write32(DATA, 9), nop, out8(DONE)]);
    g.vcpu.debug({ hardware: [{ address: DATA, on: 'write', length: 4 }] });
    const exit = g.run();
    assert.equal(exit.name, 'KVM_EXIT_DEBUG');
    assert.deepEqual([g.vcpu.getRegs().rip, g.memory.view.getUint32(DATA, true)], [BigInt(CODE + 11), 9]);
  });
});

test('a software breakpoint stops at INT3, and goes away', { skip: breakSkip }, (t) => {
  withGuest({}, (g) => {
    const why = emulates(g);
    if (why) return t.skip(why);
    g.load([nop, nop, out8(DONE)]);
    const remove = insertBreakpoint(g.memory, CODE + 1);
    g.vcpu.debug({ software: true });
    const exit = g.run();
    assert.equal(exit.name, 'KVM_EXIT_DEBUG');
    assert.deepEqual([exit.exception, exit.pc], [3, BigInt(CODE + 1)]);
    remove();
    assertDone(g);
  });
});

test('insertBreakpoint puts INT3 there and takes it out again', { skip: noKvm }, () => {
  withGuest({}, (g) => {
    g.load([nop, nop]);
    const remove = insertBreakpoint(g.memory, CODE + 1);
    assert.deepEqual(g.memory.read(CODE, 2), Uint8Array.of(nop[0]!, int3[0]!));
    remove();
    assert.deepEqual(g.memory.read(CODE, 2), Uint8Array.of(nop[0]!, nop[0]!));
  });
});

test('KVM_GUESTDBG_BLOCKIRQ keeps interrupts back', {
  skip: noKvm || lacks('KVM_CAP_SET_GUEST_DEBUG2', 0x10_0000),
}, () => {
  withGuest({}, (g) => {
    g.handle(0x45);
    g.load([sti, nop, nop, out8Value(DONE, 1), spin]);
    g.vcpu.setLapicRegisters({ SVR: 0x1ff });
    g.vcpu.debug({ blockIrq: true });
    g.vm.signalMsi({ addressLo: 0xfee0_0000, data: 0x45 });
    assertDone(g);
    g.vcpu.debug({});
    assert.equal(vectorOf(g.run()), 0x45);
  });
});

test('KVM_GUESTDBG_INJECT_DB: the guest gets #DB; two at once are refused', { skip: noKvm }, () => {
  withGuest({}, (g) => {
    g.handle(1);
    g.load([nop, spin]);
    const inject = { control: 0x0004_0001 };
    g.vcpu.setGuestDebug(inject);
    const twice = errorOf(() => g.vcpu.setGuestDebug(inject)) as IoctlError;
    assert.deepEqual([twice.ioctl, twice.errnoName], ['KVM_SET_GUEST_DEBUG', 'EBUSY']);
    assert.equal(g.vcpu.guestDebug.control, 1, 'an injection is once');
    assert.equal(vectorOf(g.run()), 1);
  });
});

test('KVM_INTERRUPT: a controller in user space', { skip: noKvm }, () => {
  withGuest({ irqchip: 'none' }, (g) => {
    g.handle(0x33);
    g.load([nop, spin], { interrupts: true });
    g.vcpu.interrupt(0x33);
    assert.equal(vectorOf(g.run()), 0x33);
    for (const vector of [-1, 256, 1.5]) assert.equal(errorOf(() => g.vcpu.interrupt(vector)).code, 'ERR_ARGUMENT');
  });
  withGuest({}, ({ vcpu }) => {
    const error = errorOf(() => vcpu.interrupt(0x33)) as IoctlError;
    assert.deepEqual([error.ioctl, error.errnoName], ['KVM_INTERRUPT', 'ENXIO']);
  });
  withGuest({ irqchip: 'split' }, (g) => {
    g.handle(0x35);
    g.load([nop, spin], { interrupts: true });
    g.vcpu.interrupt(0x35);
    assert.equal((errorOf(() => g.vcpu.interrupt(0x36)) as IoctlError).errnoName, 'EEXIST');
    assert.equal(vectorOf(g.run()), 0x35);
  });
});

test('KVM_SMI: the guest enters SMM', { skip: noKvm || lacks('KVM_CAP_X86_SMM') }, () => {
  withGuest({}, (g) => {
    g.load([nop, spin]);
    g.vcpu.smi();
    assert.equal(g.vcpu.getVcpuEvents().smi.pending, 1);
  });
});

test('KVM_SMI, on a kernel without SMM', {
  skip: noKvm || (lacks('KVM_CAP_X86_SMM') === false && 'this kernel has SMM'),
}, () => {
  withGuest({}, ({ vcpu }) => {
    assert.equal((errorOf(() => vcpu.smi()) as IoctlError).ioctl, 'KVM_SMI');
  });
});

test('KVM_GET_TSC_KHZ and KVM_SET_TSC_KHZ', { skip: noKvm || lacks('KVM_CAP_GET_TSC_KHZ') }, (t) => {
  withGuest({}, ({ vcpu }) => {
    const khz = vcpu.getTscKhz();
    assert.ok(khz > 100_000, `${khz} kHz`);
    assert.equal(errorOf(() => vcpu.setTscKhz(0)).code, 'ERR_ARGUMENT');
    try {
      vcpu.setTscKhz(khz);
    } catch (error) {
      // Without scaling only the host's own frequency is taken, and the kernel may have measured that anew since.
      if (lacks('KVM_CAP_TSC_CONTROL') === false || (error as IoctlError).errnoName !== 'EINVAL') throw error;
      return t.skip(`this kernel measured its TSC anew after KVM took ${khz} kHz, and cannot scale it`);
    }
    assert.equal(vcpu.getTscKhz(), khz);
  });
});

test('a TSC of another frequency', { skip: noKvm || lacks('KVM_CAP_TSC_CONTROL') }, () => {
  withGuest({}, ({ vcpu }) => {
    vcpu.setTscKhz(1_000_000);
    assert.equal(vcpu.getTscKhz(), 1_000_000);
  });
});

test('attributes of a vCPU', { skip: noKvm || lacks('KVM_CAP_VCPU_ATTRIBUTES') }, () => {
  withGuest({}, ({ vcpu }) => {
    const offset = { group: 0, attr: 0 };
    assert.equal(vcpu.hasDeviceAttr(offset), true);
    assert.equal(vcpu.hasDeviceAttr({ group: 9, attr: 0 }), false);
    assert.equal(vcpu.getDeviceAttr(offset, 8).length, 8);
    const set = () => vcpu.setDeviceAttr({ group: 9, attr: 0 }, new Uint8Array(8));
    assert.equal((errorOf(set) as IoctlError).errnoName, 'ENXIO');
    assert.equal(errorOf(() => vcpu.getDeviceAttr(offset, -1)).code, 'ERR_ARGUMENT');
    assert.equal(errorOf(() => vcpu.setDeviceAttr(offset, new Uint8Array(65537))).code, 'ERR_ARGUMENT');
  });
});

/** A kernel that mistrusts its TSC names it no more; `tsc-early` is what it has while it measures. */
const clocksources = '/sys/devices/system/clocksource/clocksource0/available_clocksource';
const tscUnstable =
  existsSync(clocksources) &&
  !/\btsc/.test(readFileSync(clocksources, 'utf8')) &&
  'this kernel holds its TSC for unstable, and KVM then sets each offset anew';

const tscSkip =
  noKvm ||
  lacks('KVM_CAP_VCPU_ATTRIBUTES') ||
  (pvm && "PVM gives its guests the host's TSC, with no offset") ||
  tscUnstable;

test('the TSC offset, an attribute of the vCPU', { skip: tscSkip }, () => {
  withGuest({}, ({ vcpu }) => {
    const offset = { group: 0, attr: 0 };
    const before = new DataView(vcpu.getDeviceAttr(offset, 8).buffer).getBigInt64(0, true);
    const payload = new Uint8Array(8);
    new DataView(payload.buffer).setBigInt64(0, before + (1n << 40n), true);
    const tsc = vcpu.getMsr(0x10);
    vcpu.setDeviceAttr(offset, payload);
    assert.deepEqual(vcpu.getDeviceAttr(offset, 8), payload);
    assert.ok(vcpu.getMsr(0x10) - tsc >= 1n << 40n, 'the guest is that much ahead');
  });
});

test('KVM_TRANSLATE: without paging an address is itself', { skip: noKvm }, () => {
  withGuest({}, (g) => {
    g.load([spin]);
    assert.deepEqual([g.vcpu.translate(0x1234).valid, g.vcpu.translate(0x1235n).physicalAddress], [1, 0x1235n]);
    assert.equal(errorOf(() => g.vcpu.translate(-1)).code, 'ERR_ARGUMENT');
  });
});

test('KVM_TRANSLATE: with paging, by the tables', {
  skip: noKvm || (pvm && 'PVM has no paging for 32-bit guests'),
}, () => {
  withGuest({}, (g) => {
    g.load([spin]);
    // One page directory with one 4 MiB page: 0x00400000 -> 0.
    g.memory.view.setUint32(0xd000 + 4, 0x83, true);
    const sregs = g.vcpu.getSregs();
    g.vcpu.setSregs({ ...sregs, cr0: sregs.cr0 | (1n << 31n), cr3: 0xd000n, cr4: 0x10n });
    const there = g.vcpu.translate(0x0040_1234);
    assert.deepEqual([there.valid, there.physicalAddress], [1, 0x1234n]);
    assert.equal(g.vcpu.translate(0x0080_0000).valid, 0);
  });
});

test('KVM_KVMCLOCK_CTRL: once the guest has a kvmclock, and not before', {
  skip: noKvm || lacks('KVM_CAP_KVMCLOCK_CTRL'),
}, () => {
  withGuest({}, (g) => {
    const early = errorOf(() => g.vcpu.kvmclockCtrl()) as IoctlError;
    assert.deepEqual([early.ioctl, early.errnoName], ['KVM_KVMCLOCK_CTRL', 'EINVAL']);
    g.vcpu.setCpuid2(g.kvm.supportedCpuid());
    g.vcpu.setMsr(0x4b56_4d01, BigInt(DATA) | 1n);
    g.load([out8(DONE)]);
    assertDone(g);
    g.vcpu.kvmclockCtrl();
    g.load([out8(DONE)]);
    assertDone(g);
    // struct pvclock_vcpu_time_info.flags, bit 1: the guest was stopped.
    assert.equal(g.memory.bytes[DATA + 29]! & 2, 2);
  });
});

test('registers in kvm_run: read and written without an ioctl', {
  skip: noKvm || lacks('KVM_CAP_SYNC_REGS', 7),
}, () => {
  withGuest({}, (g) => {
    // add eax, ebx in between two exits.
    g.load([out8(DONE), Uint8Array.of(0x01, 0xd8), out8(DONE), out8(DONE)]);
    g.vcpu.requestSyncRegs({ regs: true, sregs: true, events: true });
    g.vcpu.setRegs({ rax: 5n, rbx: 6n });
    assertDone(g);
    const sync = g.vcpu.syncRegs();
    assert.deepEqual([sync.regs.rax, sync.regs.rbx, sync.sregs.cs.selector], [5n, 6n, 8]);
    g.vcpu.setSyncRegs({ regs: { ...sync.regs, rbx: 100n } });
    assertDone(g);
    assert.deepEqual([g.vcpu.syncRegs().regs.rax, g.vcpu.getRegs().rax], [105n, 105n]);
    g.vcpu.requestSyncRegs({});
    g.vcpu.setRegs({ rax: 0x77n });
    assertDone(g);
    assert.equal(g.vcpu.syncRegs().regs.rax, 105n, 'not asked for, not filled');
  });
});

test('settle finishes an exit without running on', { skip: noKvm }, () => {
  withGuest({}, (g) => {
    g.load([out8(DONE), Uint8Array.of(0xe4, 0x60), nop, spin]);
    assertDone(g);
    assert.equal(g.vcpu.settle(), false);
    assert.equal(g.vcpu.getRegs().rip, BigInt(CODE + 2));
    const exit = g.run();
    assert.equal(exit.name, 'KVM_EXIT_IO');
    g.vcpu.kvmRun.setUint8(Number(exit.dataOffset), 0xa7);
    for (let turn = 0; turn < 3; turn++) {
      assert.equal(g.vcpu.settle(), false);
      assert.deepEqual([g.vcpu.getRegs().rip, g.vcpu.getRegs().rax & 0xffn], [BigInt(CODE + 4), 0xa7n]);
    }
    // A vCPU that waits, in HLT or for INIT, does not keep it.
    const ap = g.vm.createVcpu(1);
    assert.equal(ap.settle(), false);
    g.load([hlt]);
    g.vcpu.setMpState(mpStates.KVM_MP_STATE_HALTED);
    assert.equal(g.vcpu.settle(), false);
  });
});

test('use after close', { skip: noKvm }, () => {
  withGuest({}, ({ vcpu }) => {
    vcpu.close();
    for (const use of [
      () => vcpu.getMsrs([0x174]),
      () => vcpu.settle(),
      () => vcpu.stats(),
      () => vcpu.hasDeviceAttr({ group: 0, attr: 0 }),
      () => vcpu.syncRegs(),
      () => vcpu.lapic(),
      () => vcpu.ioctlRaw(0xae9a),
    ])
      assert.equal(errorOf(use).code, 'ERR_CLOSED');
  });
});
