/** saveMachineState and restoreMachineState: what was saved is there, and what cannot be saved is told. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import {
  type DsmProfile,
  defaultProfile,
  GuestMemory,
  in8,
  Kvm,
  mov32,
  mpStates,
  nop,
  out8Value,
  PAGE_SIZE,
  PendingExitError,
  restoreMachineState,
  saveMachineState,
  spin,
  sti,
  store32,
  type Vm,
  write32,
  wrmsr,
} from '../../lib/index.ts';
import { CODE, DATA, DONE, type Guest, lacks, withGuest } from '../support/guest32.ts';
import { errorOf, noKvm } from '../support/host.ts';

/** `inc dword [address]`. */
const inc32 = (address: number) =>
  Uint8Array.of(0xff, 0x05, address & 0xff, (address >> 8) & 0xff, (address >> 16) & 0xff, address >>> 24);
/** `jmp` back over `bytes` before it and itself. */
const back = (bytes: number) => Uint8Array.of(0xeb, 256 - bytes - 2);

/** Counts at DATA, and leaves after each. */
const counter = [inc32(DATA), out8Value(DONE, 1), back(6 + 4)];

function restored<T>(state: Uint8Array, use: (vm: Vm, memories: GuestMemory[]) => T): T {
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  const memories = restoreMachineState(vm, state);
  try {
    return use(vm, memories);
  } finally {
    for (const memory of memories) memory.close();
  }
}

test('a guest goes on in another VM where it was saved', { skip: noKvm }, () => {
  const state = withGuest({}, (g) => {
    g.load(counter);
    for (let turn = 0; turn < 3; turn++) assert.equal(g.run().name, 'KVM_EXIT_IO');
    return saveMachineState(g.kvm, g.vm);
  });
  // Twice from the same buffer: a prepared state serves many tests.
  for (let copy = 0; copy < 2; copy++)
    restored(state, (vm, [memory]) => {
      assert.equal(memory!.view.getUint32(DATA, true), 3);
      const vcpu = vm.vcpus.get(0)!;
      for (let turn = 0; turn < 2; turn++) assert.equal(vcpu.run({ deadline: '5s' }).name, 'KVM_EXIT_IO');
      assert.equal(memory!.view.getUint32(DATA, true), 5);
    });
});

/** What a vCPU's getters say, for a comparison of before and after. TSCs and the APIC timer's count go on by themselves. */
function everything(guest: { kvm: Kvm; vm: Vm }): unknown {
  // IA32_TSC, TSC_DEADLINE, MPERF, APERF; Hyper-V's VP_RUNTIME and TIME_REF_COUNT.
  const moving = new Set([0x10, 0x6e0, 0xe7, 0xe8, 0x4000_0010, 0x4000_0020]);
  const indices = guest.kvm.msrIndexList().filter((index) => !moving.has(index));
  return [...guest.vm.vcpus.values()].map((vcpu) => ({
    regs: vcpu.getRegs(),
    sregs: vcpu.getSregs(),
    xsave: Buffer.from(vcpu.getXsave()).toString('hex'),
    xcrs: vcpu.getXcrs(),
    debugregs: vcpu.getDebugregs(),
    lapic: { ...vcpu.lapic().registers, TMCCT: 0 },
    events: vcpu.getVcpuEvents(),
    mpState: vcpu.getMpState(),
    cpuid: vcpu.getCpuid2(),
    msrs: indices.map((index) => {
      try {
        return vcpu.getMsr(index);
      } catch {
        return null;
      }
    }),
  }));
}

function busy(g: Guest): void {
  const { vm, kvm, vcpu } = g;
  const ap = vm.createVcpu(5);
  for (const each of [vcpu, ap]) each.setCpuid2(kvm.supportedCpuid());
  g.load([sti, nop, spin]);
  vcpu.setRegs({ rax: 0x1111_2222n, rdi: 0xfeed_beefn, rbp: 0x77n });
  const area = vcpu.getXsave();
  area.fill(0x5a, 160, 160 + 256);
  area[512]! |= 3;
  vcpu.setXsave(area);
  vcpu.setDebugregs({ db: [0x1000n, 0x2000n, 0n, 0n] });
  vcpu.setXcrs([{ xcr: 0, value: 3n }]);
  vcpu.setLapicRegisters({ SVR: 0x1ff, LVT_TIMER: 0x0001_00ee, TPR: 0x20 });
  ap.setLapicRegisters({ SVR: 0x1f0, LDR: 0x0500_0000 });
  vcpu.setMsr(0x174, 0x8n);
  vcpu.setMsr(0xc000_0102, 0x1234_5000n);
  vcpu.nmi();
  vm.signalMsi({ addressLo: 0xfee0_0000, data: 0x41 });
  vm.signalMsi({ addressLo: 0xfee0_5000, data: 0x99 });
  ap.setMpState(mpStates.KVM_MP_STATE_HALTED);
  const { redirtbl } = vm.getIrqchip('ioapic');
  redirtbl[7] = 0x0500_0000_0001_0042n;
  vm.setIrqchip('ioapic', { redirtbl });
  vm.setIrqchip('picMaster', { imr: 0xfb, irqBase: 0x20 });
  vm.setGsiRouting([{ type: 'msi', gsi: 30, addressLo: 0xfee0_0000, data: 0x55 }]);
}

test('every part of two vCPUs and of the irqchip is as it was', { skip: noKvm }, () => {
  let before: unknown;
  let chips: unknown;
  const state = withGuest({}, (g) => {
    busy(g);
    const saved = saveMachineState(g.kvm, g.vm);
    before = everything(g);
    chips = [g.vm.getIrqchip('ioapic'), g.vm.getIrqchip('picMaster'), g.vm.getIrqchip('picSlave')];
    return saved;
  });
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  restoreMachineState(vm, state);
  assert.deepEqual([...vm.vcpus.keys()], [0, 5]);
  assert.deepEqual(everything({ kvm, vm }), before);
  assert.deepEqual([vm.getIrqchip('ioapic'), vm.getIrqchip('picMaster'), vm.getIrqchip('picSlave')], chips);
  assert.deepEqual(vm.vcpus.get(5)!.lapic().irr, [0x99]);
  assert.equal(vm.gsiRouting?.[0]?.gsi, 30);
  // A saved machine that is saved again says the same of its memory and its setup.
  assert.equal(saveMachineState(kvm, vm).length, state.length);
});

test('interrupts that were pending reach the restored guest', { skip: noKvm }, () => {
  const state = withGuest({}, (g) => {
    g.handle(2, 0x41);
    g.load([sti, nop, spin]);
    g.vcpu.setLapicRegisters({ SVR: 0x1ff });
    g.vm.signalMsi({ addressLo: 0xfee0_0000, data: 0x41 });
    return saveMachineState(g.kvm, g.vm);
  });
  restored(state, (vm) => {
    const exit = vm.vcpus.get(0)!.run({ deadline: '5s' });
    assert.equal(exit.name, 'KVM_EXIT_IO');
    assert.equal(exit.data[0], 0x41);
  });
});

test('an `in` that was answered is finished by the save, not run again', { skip: noKvm }, () => {
  const state = withGuest({}, (g) => {
    g.load([in8(0x60), store32(DATA), out8Value(DONE, 1)]);
    const exit = g.run();
    assert.equal(exit.name, 'KVM_EXIT_IO');
    g.vcpu.kvmRun.setUint8(Number(exit.dataOffset), 0x99);
    const saved = saveMachineState(g.kvm, g.vm);
    assert.equal(g.vcpu.getRegs().rip, BigInt(CODE + 2));
    return saved;
  });
  restored(state, (vm, [memory]) => {
    const exit = vm.vcpus.get(0)!.run({ deadline: '5s' });
    assert.equal(exit.name === 'KVM_EXIT_IO' && exit.port, DONE);
    assert.equal(memory!.bytes[DATA], 0x99);
  });
});

test('a pending exit has the name that the profile of the KVM device gives it', { skip: noKvm }, () => {
  const MMIO = 6;
  const { exits } = defaultProfile;
  const profile: DsmProfile = {
    ...defaultProfile,
    exits: { ...exits, KVM_EXIT_DSM_SEND_IRQ: { ...exits.KVM_EXIT_DSM_SEND_IRQ, reason: MMIO } },
  };
  withGuest({ profile }, (g) => {
    // The kernel hands out two of the four bytes.
    g.load([write32(0x2000_0ffe, 0x1122_3344)]);
    assert.equal(g.run().name, 'KVM_EXIT_DSM_SEND_IRQ');
    const error = errorOf(() => saveMachineState(g.kvm, g.vm));
    assert.match(error.message, /KVM_EXIT_DSM_SEND_IRQ \(exit_reason 6\)/);
  });
});

test('an exit that is pending refuses the save, and is not lost', { skip: noKvm }, () => {
  withGuest({}, (g) => {
    // Four bytes over the end of a page: the kernel hands out two, and has two left when the guest comes back.
    g.load([write32(0x2000_0ffe, 0x1122_3344), out8Value(DONE, 1)]);
    const first = g.run();
    assert.deepEqual([first.name, first.name === 'KVM_EXIT_MMIO' && [...first.data]], ['KVM_EXIT_MMIO', [0x44, 0x33]]);
    const error = errorOf(() => saveMachineState(g.kvm, g.vm));
    assert.ok(error instanceof PendingExitError);
    assert.deepEqual([error.code, error.vcpuId, error.reason], ['ERR_PENDING_EXIT', 0, 6]);
    const second = g.vcpu.exit();
    assert.deepEqual([second.name === 'KVM_EXIT_MMIO' && [...second.data]], [[0x22, 0x11]]);
    const state = saveMachineState(g.kvm, g.vm);
    restored(state, (vm) => {
      const exit = vm.vcpus.get(0)!.run({ deadline: '5s' });
      assert.equal(exit.name === 'KVM_EXIT_IO' && exit.port, DONE);
    });
  });
});

test('two slots of one memory stay one memory; zero pages cost nothing', { skip: noKvm }, () => {
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  using memory = GuestMemory.allocate(256 << 20);
  vm.createIrqchip();
  vm.setMemory({ slot: 2, guestPhysAddr: 0, memory, size: 1 << 20 });
  vm.setMemory({ slot: 7, guestPhysAddr: 1 << 30, memory, offset: 128 << 20, size: PAGE_SIZE, logDirtyPages: true });
  vm.createVcpu(0);
  memory.write((128 << 20) + 9, Uint8Array.of(0xab));
  memory.write((256 << 20) - 1, Uint8Array.of(0xcd));
  const state = saveMachineState(kvm, vm);
  assert.ok(state.length < 1 << 20, `${state.length} bytes`);
  restored(state, (copy, memories) => {
    assert.equal(memories.length, 1);
    assert.equal(copy.slots.get(2)?.memory, copy.slots.get(7)?.memory);
    assert.equal(copy.slots.get(7)?.logDirtyPages, true);
    assert.equal(memories[0]!.bytes[(128 << 20) + 9], 0xab);
    assert.equal(memories[0]!.bytes[(256 << 20) - 1], 0xcd);
  });
});

for (const irqchip of ['split', 'none'] as const)
  test(`a VM with irqchip ${irqchip}`, { skip: noKvm }, () => {
    const state = withGuest({ irqchip }, (g) => {
      g.load(counter);
      g.run();
      if (irqchip === 'split') g.vcpu.setLapicRegisters({ SVR: 0x1ff });
      return saveMachineState(g.kvm, g.vm);
    });
    restored(state, (vm, [memory]) => {
      assert.equal(vm.irqchip, irqchip);
      vm.vcpus.get(0)!.run({ deadline: '5s' });
      assert.equal(memory!.view.getUint32(DATA, true), 2);
      if (irqchip === 'split') assert.equal(vm.vcpus.get(0)!.lapic().softwareEnabled, true);
    });
  });

test('the PIT and the clock', { skip: noKvm || lacks('KVM_CAP_PIT2') }, () => {
  let clock = 0n;
  const state = withGuest({ prepare: (vm) => vm.createPit2({ speakerDummy: true }) }, (g) => {
    const { channels, flags } = g.vm.getPit2();
    channels[1]!.count = 0x4321;
    g.vm.setPit2({ channels, flags });
    g.vm.setClock({ clock: 10n ** 18n });
    ({ clock } = g.vm.getClock());
    return saveMachineState(g.kvm, g.vm);
  });
  restored(state, (vm) => {
    assert.equal(vm.getPit2().channels[1]!.count, 0x4321);
    assert.ok(vm.getClock().clock >= clock, 'the clock goes on');
  });
});

test('guest debugging and capabilities are set up again', {
  skip: noKvm || lacks('KVM_CAP_X86_USER_SPACE_MSR'),
}, () => {
  const state = withGuest({ before: (vm) => vm.enableUserSpaceMsr(2) }, (g) => {
    g.load([nop, mov32('ecx', 0xdead), wrmsr, spin]);
    g.vcpu.debug({ singleStep: true });
    return saveMachineState(g.kvm, g.vm);
  });
  restored(state, (vm) => {
    const vcpu = vm.vcpus.get(0)!;
    assert.equal(vcpu.run({ deadline: '5s' }).name, 'KVM_EXIT_DEBUG');
    vcpu.debug({});
    assert.equal(vcpu.run({ deadline: '5s' }).name, 'KVM_EXIT_X86_WRMSR');
  });
});

/** A small state, and a way to change it that keeps its checksum right. */
const small = (): Uint8Array => withGuest({}, (g) => saveMachineState(g.kvm, g.vm));

function resealed(state: Uint8Array, change: (bytes: Uint8Array, view: DataView) => void): Uint8Array {
  const bytes = state.slice();
  change(bytes, new DataView(bytes.buffer));
  bytes.set(createHash('sha256').update(bytes.subarray(64)).digest(), 32);
  return bytes;
}

test('a malformed buffer is refused, and the VM stays fresh', { skip: noKvm }, () => {
  const state = small();
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  const refused = (bytes: Uint8Array) => errorOf(() => restoreMachineState(vm, bytes)).code;
  assert.equal(refused('no buffer' as never), 'ERR_STATE_FORMAT');
  for (const length of [0, 1, 63, 64, 65, state.length >> 1, state.length - 1])
    assert.equal(refused(state.slice(0, length)), 'ERR_STATE_FORMAT', `${length} bytes`);
  assert.equal(refused(Uint8Array.from([...state, 0])), 'ERR_STATE_FORMAT');
  const flipped = state.slice();
  flipped[state.length - 1]! ^= 1;
  assert.equal(refused(flipped), 'ERR_STATE_FORMAT');
  assert.equal(refused(resealed(state, (_, view) => view.setUint32(8, 3, true))), 'ERR_STATE_VERSION');
  assert.equal(refused(resealed(state, (_, view) => view.setUint32(8, 0, true))), 'ERR_STATE_VERSION');
  assert.equal(refused(resealed(state, (_, view) => view.setUint32(12, 1, true))), 'ERR_STATE_FORMAT');
  // The first section is the configuration: its kind, its length, its text.
  assert.equal(refused(resealed(state, (_, view) => view.setUint32(64, 99, true))), 'ERR_STATE_FORMAT');
  assert.equal(refused(resealed(state, (_, view) => view.setBigUint64(72, 1n << 60n, true))), 'ERR_STATE_FORMAT');
  assert.equal(refused(resealed(state, (bytes) => bytes.set([0x21], 80))), 'ERR_STATE_FORMAT');
  assert.deepEqual([vm.vcpus.size, vm.hasMemory, vm.irqchip], [0, false, 'none']);
  restoreMachineState(vm, state);
});

test('any byte of the sections may be wrong: an error of this package, or a VM', { skip: noKvm }, () => {
  const state = small();
  // The sections' heads and the configuration: the kernel's structs are the kernel's to refuse.
  const view = new DataView(state.buffer);
  const places: number[] = [];
  for (let at = 64; at < state.length; at += 16 + Number(view.getBigUint64(at + 8, true)))
    for (let byte = 0; byte < 16; byte++) places.push(at + byte);
  const text = Number(view.getBigUint64(72, true));
  for (let at = 80; at < 80 + text; at += 7) places.push(at);
  for (const place of places) {
    using kvm = Kvm.open();
    using vm = kvm.createVm();
    const bytes = resealed(state, (copy) => {
      copy[place]! ^= 0x15;
    });
    try {
      for (const memory of restoreMachineState(vm, bytes)) memory.close();
    } catch (error) {
      const { code } = error as { code?: string };
      assert.match(String(code), /^ERR_STATE_(FORMAT|VERSION|MISMATCH)$/, `byte ${place}: ${error}`);
    }
  }
});

test('a VM that is in use', { skip: noKvm }, () => {
  const state = small();
  withGuest({}, ({ vm }) => {
    assert.equal(errorOf(() => restoreMachineState(vm, state)).code, 'ERR_STATE_MISMATCH');
  });
});

test('what the kernel refuses names the vCPU and the part', { skip: noKvm }, () => {
  const state = small();
  const view = new DataView(state.buffer);
  let regs = 0;
  for (let at = 64; at < state.length; at += 16 + Number(view.getBigUint64(at + 8, true)))
    if (view.getUint32(at, true) === 16) regs = at + 16;
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  const bytes = resealed(state, (_, copy) => copy.setUint32(regs, 77, true));
  const error = errorOf(() => restoreMachineState(vm, bytes));
  assert.equal(error.code, 'ERR_STATE_MISMATCH');
  assert.match(error.message, /vCPU 0's mpState: KVM_SET_MP_STATE failed with EINVAL/);
});
