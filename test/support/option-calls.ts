/**
 * A call for each place of the public API that takes an object by its keys, with what it may be given: the test puts a key
 * that there is not into each of these objects. `option-takers.ts` finds out which places there are.
 */
import type { Machine, Vcpu, VfioPseudoDevice, Vm } from '../../lib/index.ts';
import * as kit from '../../lib/index.ts';

// biome-ignore lint/suspicious/noExplicitAny: the test gives what the types refuse.
type Given = any;

/** What calls that need a KVM are made on. */
export interface World {
  readonly kvm: kit.Kvm;
  readonly vm: Vm;
  readonly vcpu: Vcpu;
  readonly machine: Machine;
  readonly memory: kit.GuestMemory;
}

export interface OptionCall {
  /** What it takes: one of each kind, with every object that may stand in it. */
  readonly good: (world: World) => readonly Given[];
  readonly call: (given: Given, world: World) => unknown;
  /** It can be called without KVM. */
  readonly anywhere?: true;
  /** The kernel's device that it is about. */
  readonly needs?: 'vfio';
  /** What is good is not given: it would do too much, or needs what is not there. */
  readonly dry?: true;
}

const trace = () => new kit.Trace();
const zone = { address: 0xd000_0000, size: 8, pio: false };
const access = { x2apic: true, base: 0xfee0_0000 };
const icr = { vector: 0x40, deliveryMode: 'fixed', level: 'assert' } as const;
const attr = { group: 0, attr: 0 };
const replay = { insist: false };
const event = { deadline: '1s' };

const expectations = [
  { name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR', icr },
  { name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR2', icr2: { destination: 1 } },
  { name: 'KVM_EXIT_HYPERV', synic: { msr: 1 }, hcall: { input: 1n }, syndbg: { msr: 1 } },
  { name: 'KVM_EXIT_TDX', call: { leaf: 'getQuote', size: 1n } },
  { sync: 'ready', vcpu: 0 },
  { value: 'x', is: 1 },
  { done: true },
  { fault: '#GP' },
];
const unexpected = (call: (want: Given) => void) => (want: Given) => call(want);

const anywhere = (good: Given, call: (given: Given) => unknown): OptionCall => ({
  good: () => [good],
  call: (given) => call(given),
  anywhere: true,
});
const onVcpu = (good: (vcpu: Vcpu) => Given, call: (given: Given, vcpu: Vcpu) => unknown): OptionCall => ({
  good: ({ vcpu }) => [good(vcpu)],
  call: (given, { vcpu }) => call(given, vcpu),
});
const onVm = (good: Given, call: (given: Given, vm: Vm, world: World) => unknown): OptionCall => ({
  good: () => [good],
  call: (given, world) => call(given, world.vm, world),
});
const dry = (good: Given, call: (given: Given, world: World) => unknown): OptionCall => ({
  good: () => [good],
  call,
  dry: true,
});

const flat = (vcpu: Vcpu) => {
  const { gdt, idt } = vcpu.getSregs();
  return { rip: 0x1000, rsp: 0x1000, interrupts: false, tables: { gdt, idt } };
};
/** Of KVM's VFIO device, where the kernel has it. */
const device = (good: Given, call: (given: Given, of: VfioPseudoDevice) => unknown): OptionCall => ({
  ...dry(good, (given, { vm }) => {
    using made = vm.createDevice('vfio');
    return call(given, made);
  }),
  needs: 'vfio',
});
const explored = kit.asm.flat32`${kit.done()}`;
const irq = { index: 0, subindex: 0, gsi: 24 };

export const optionCalls: Readonly<Record<string, OptionCall>> = {
  'Kvm.open(options)': {
    good: () => [{ profile: kit.defaultProfile }],
    call: (o) => kit.Kvm.open(undefined, o).close(),
  },
  'Kvm.createVm(options)': dry({ optIn: [] }, (o, { kvm }) => kvm.createVm(0, o)),
  'Kvm.getDeviceAttr(which)': { good: () => [attr], call: (o, { kvm }) => kvm.getDeviceAttr(o, 8) },
  'Kvm.hasDeviceAttr(which)': { good: () => [attr], call: (o, { kvm }) => kvm.hasDeviceAttr(o) },

  'Vm.assignIoeventfd(where)': onVm({ address: 0xd000_0000, length: 4, pio: false, datamatch: 1 }, (o, vm) => {
    using made = kit.EventFd.create();
    vm.assignIoeventfd(made, o);
  }),
  'Vm.deassignIoeventfd(where)': onVm({ address: 0xd000_0000, length: 4, pio: false, datamatch: 1 }, (o, vm) => {
    using made = kit.EventFd.create();
    vm.assignIoeventfd(made, { address: 0xd000_0000, length: 4, datamatch: 1 });
    vm.deassignIoeventfd(made, o);
  }),
  'Vm.assignIrqfd(options)': onVm({}, (o, vm) => {
    using made = kit.EventFd.create();
    vm.assignIrqfd(made, 5, o);
    vm.deassignIrqfd(made, 5);
  }),
  'Vm.createPit2(options)': onVm({ speakerDummy: true }, (o, vm) => vm.createPit2(o)),
  'Vm.disableVcpuVlpi(options)': dry({ insist: false }, (o, { vm }) => vm.disableVcpuVlpi(0, o)),
  'Vm.dsmApicBase(options)': dry(replay, (o, { vm }) => vm.dsmApicBase({ vcpuId: 0, data: 0xfee0_0900n }, o)),
  'Vm.dsmApicBase(write)': dry({ vcpuId: 0, data: 1n, host: false, index: 0x1b }, (o, { vm }) => vm.dsmApicBase(o)),
  'Vm.dsmIpi(options)': dry(replay, (o, { vm }) => vm.dsmIpi({ vcpuId: 0, val: 0x310, val2: 0 }, o)),
  'Vm.dsmIpi(write)': dry({ vcpuId: 0, val: 0x310, val2: 0, destId: 0 }, (o, { vm }) => vm.dsmIpi(o)),
  'Vm.dsmX2apic(options)': dry(replay, (o, { vm }) => vm.dsmX2apic({ vcpuId: 0, data: 0n }, o)),
  'Vm.dsmX2apic(write)': dry({ vcpuId: 0, data: 0n }, (o, { vm }) => vm.dsmX2apic(o)),
  'Vm.hasDeviceAttr(which)': onVm(attr, (o, vm) => vm.hasDeviceAttr(o)),
  'Vm.registerCoalesced(zone)': onVm(zone, (o, vm) => vm.registerCoalesced(o)),
  'Vm.unregisterCoalesced(zone)': onVm(zone, (o, vm) => vm.unregisterCoalesced(o)),
  'Vm.setClock(clock)': onVm({ clock: 0n }, (o, vm) => vm.setClock(o)),
  'Vm.setGsiRouting(routes[])': {
    good: () => [
      [{ type: 'irqchip', gsi: 1, irqchip: 'ioapic', pin: 1 }],
      [{ type: 'msi', gsi: 30, addressLo: 0xfee0_0000, addressHi: 0, data: 0x40 }],
    ],
    call: (o, { vm }) => vm.setGsiRouting(o),
  },
  'Vm.setIrqchip(state)': onVm({ irr: 0 }, (o, vm) => vm.setIrqchip('ioapic', o)),
  'Vm.setMemory(slot)': onVm({ slot: 5, guestPhysAddr: 0x100_0000 }, (o, vm, { memory }) =>
    vm.setMemory({ ...o, memory, offset: 0, size: 4096 }),
  ),
  'Vm.setMsrFilter(filter)': onVm({ defaultAllow: true, ranges: [{ base: 0x10, count: 1, allow: [0x10] }] }, (o, vm) =>
    vm.setMsrFilter(o),
  ),
  'Vm.setPit2(state)': {
    good: ({ vm }) => [vm.getPit2()],
    call: (o, { vm }) => vm.setPit2(o),
  },
  'Vm.signalMsi(message)': onVm({ addressLo: 0xfee0_0000, addressHi: 0, data: 0x40 }, (o, vm) => vm.signalMsi(o)),

  'Vcpu.debug(options)': onVcpu(
    () => ({ hardware: [{ address: 0x1000, on: 'execute', length: 1 }], singleStep: false, software: false }),
    (o, vcpu) => vcpu.debug(o),
  ),
  'Vcpu.getDeviceAttr(which)': dry(attr, (o, { vcpu }) => vcpu.getDeviceAttr(o, 8)),
  'Vcpu.hasDeviceAttr(which)': onVcpu(
    () => attr,
    (o, vcpu) => vcpu.hasDeviceAttr(o),
  ),
  'Vcpu.setDeviceAttr(which)': dry(attr, (o, { vcpu }) => vcpu.setDeviceAttr(o, new Uint8Array(8))),
  'Vcpu.requestSyncRegs(groups)': onVcpu(
    () => ({ regs: false, sregs: false, events: false }),
    (o, vcpu) => vcpu.requestSyncRegs(o),
  ),
  'Vcpu.run(options)': dry({ deadline: '1s', profile: kit.defaultProfile }, (o, { vcpu }) => vcpu.run(o)),
  'Vcpu.start(options)': dry(
    {
      onExit: () => {},
      record: { exits: ['KVM_EXIT_IO'], onRecords: () => {}, capacity: 16, unionBytes: 256, ioBytes: 16 },
      deadline: '1s',
    },
    (o, { vcpu }) => vcpu.start(o),
  ),
  'Vcpu.setCpuid2(cpuid[])': {
    good: ({ kvm }) => [kvm.supportedCpuid()],
    call: (o, { vcpu }) => vcpu.setCpuid2(o),
  },
  'Vcpu.setDebugregs(debugregs)': onVcpu(
    (vcpu) => vcpu.getDebugregs(),
    (o, vcpu) => vcpu.setDebugregs(o),
  ),
  'Vcpu.setFpu(fpu)': onVcpu(
    (vcpu) => vcpu.getFpu(),
    (o, vcpu) => vcpu.setFpu(o),
  ),
  'Vcpu.setGuestDebug(debug)': onVcpu(
    () => ({ control: 0 }),
    (o, vcpu) => vcpu.setGuestDebug(o),
  ),
  'Vcpu.setLapicRegisters(registers)': onVcpu(
    () => ({ TPR: 0 }),
    (o, vcpu) => vcpu.setLapicRegisters(o),
  ),
  'Vcpu.setMsrs(msrs[])': onVcpu(
    () => [{ index: 0x10, data: 0n }],
    (o, vcpu) => vcpu.setMsrs(o),
  ),
  'Vcpu.setRegs(regs)': onVcpu(
    (vcpu) => vcpu.getRegs(),
    (o, vcpu) => vcpu.setRegs(o),
  ),
  'Vcpu.setSregs(sregs)': onVcpu(
    (vcpu) => vcpu.getSregs(),
    (o, vcpu) => vcpu.setSregs(o),
  ),
  'Vcpu.setSregs2(sregs)': onVcpu(
    (vcpu) => vcpu.getSregs2(),
    (o, vcpu) => vcpu.setSregs2(o),
  ),
  'Vcpu.setSyncRegs(regs)': onVcpu(
    (vcpu) => ({ regs: vcpu.getRegs(), sregs: vcpu.getSregs(), events: vcpu.getVcpuEvents() }),
    (o, vcpu) => vcpu.setSyncRegs(o),
  ),
  'Vcpu.setVcpuEvents(events)': onVcpu(
    (vcpu) => vcpu.getVcpuEvents(),
    (o, vcpu) => vcpu.setVcpuEvents(o),
  ),
  'Vcpu.setXcrs(xcrs[])': onVcpu(
    (vcpu) => vcpu.getXcrs(),
    (o, vcpu) => vcpu.setXcrs(o),
  ),
  ...Object.fromEntries(
    (['ended', 'kick', 'pause', 'stop'] as const).map((method): [string, OptionCall] => [
      `VcpuRun.${method}(options)`,
      {
        good: () => [event],
        async call(given, { vcpu }) {
          vcpu.setMpState(kit.mpStates.KVM_MP_STATE_HALTED);
          await using run = vcpu.start({ onExit: () => {} });
          const asked = method === 'ended' ? undefined : run.askToStop();
          if (method === 'ended') run.askToStop();
          await run[method](given);
          return asked;
        },
      },
    ]),
  ),

  'Machine.explore(options)': {
    good: () =>
      [{ random: 1 }, { pct: 1, depth: 1 }, { preemptions: 0 }, 'all'].map((schedules) => ({
        ...{ steps: 'instruction', schedules, seed: 1, longest: 9, deadline: '30s' },
      })),
    call: (o, { machine: m }) => m.explore([explored], () => true, o),
  },
  'Machine.explore(programs[])': {
    good: () => [[{ code: explored, interrupts: false, handlers: {}, idt: true, start: 'now' }]],
    call: (o, { machine: m }) => m.explore(o, () => true),
  },
  'machine(options)': dry({ vcpus: 1, apic: 'xapic' }, (o) => kit.machine(o)),
  'new Machine(options)': dry({ vcpus: 1, apic: 'xapic' }, (o) => new kit.Machine(o)),
  'Machine.dsmApicBase(options)': dry(replay, (o, { machine: m }) => m.dsmApicBase({ vcpuId: 0, data: 1n }, o)),
  'Machine.dsmApicBase(write)': dry({ vcpuId: 0, data: 1n }, (o, { machine: m }) => m.dsmApicBase(o)),
  'Machine.dsmIpi(options)': dry(replay, (o, { machine: m }) => m.dsmIpi({ vcpuId: 0, val: 0x310, val2: 0 }, o)),
  'Machine.dsmIpi(write)': dry({ vcpuId: 0, val: 0x310, val2: 0 }, (o, { machine: m }) => m.dsmIpi(o)),
  'Machine.dsmX2apic(options)': dry(replay, (o, { machine: m }) => m.dsmX2apic({ vcpuId: 0, data: 0n }, o)),
  'Machine.dsmX2apic(write)': dry({ vcpuId: 0, data: 0n }, (o, { machine: m }) => m.dsmX2apic(o)),
  'Machine.run(options)': {
    good: () => [
      { until: { exits: 1 }, deadline: '1s' },
      { until: { sync: 'a', count: 1, vcpu: 0 } },
      { until: { port: 1, vcpu: 0 } },
      { until: { exit: 'KVM_EXIT_HLT', count: 1, vcpu: 0 } },
      { until: { fault: '#GP', vcpu: 0 } },
      { until: { halted: 0 } },
    ],
    call: (o, { machine: m }) => m.run(o),
    dry: true,
  },
  'Machine.signalMsi(message)': {
    good: () => [{ addressLo: 0xfee0_0000, data: 0x40 }],
    call: (o, { machine: m }) => m.signalMsi(o),
  },
  'Machine.onMmioRead(range)': {
    good: () => [{ at: 0xd000_0000, size: 4 }],
    call: (o, { machine: m }) => m.onMmioRead(o, 0),
  },
  'MachineVcpu.program(options)': {
    good: () => [{ interrupts: false, handlers: {}, idt: true, start: 'now' }],
    call: (o, { machine: m }) => m.vcpu(0).program(kit.flat32(kit.hlt), o),
  },
  'CheckContext.machine(options)': dry({ vcpus: 1 }, (o) => new kit.Machine(o)),

  'Trace.expect(expected[])': {
    good: () => expectations.map((one) => [one]),
    call: unexpected((want) => trace().expect(want)),
    anywhere: true,
    dry: true,
  },
  'Trace.expectInOrder(expected[])': {
    good: () => expectations.map((one) => [one]),
    call: unexpected((want) => trace().expectInOrder(want)),
    anywhere: true,
    dry: true,
  },
  'Trace.expectCount(expected)': {
    good: () => expectations,
    call: unexpected((want) => trace().expectCount(want, 0)),
    anywhere: true,
  },
  'Trace.expectNone(unwanted)': {
    good: () => expectations,
    call: unexpected((want) => trace().expectNone(want)),
    anywhere: true,
  },

  'Synic.postMessage(message)': anywhere({ type: 1, sender: 0n, payload: new Uint8Array(1) }, kit.encodeMessage),
  'SintLine.deliver(message)': anywhere({ type: 1 }, kit.encodeMessage),
  'SintLine.post(message)': anywhere({ type: 1 }, kit.encodeMessage),
  'connectSints(options)': onVm({ resample: false }, (o, vm) => kit.connectSints(vm, [], o)),

  'Device.getAttr(which)': device(attr, (o, of) => of.getAttr(o, 4)),
  'Device.hasAttr(which)': device(attr, (o, of) => of.hasAttr(o)),
  'Device.setAttr(which)': device(attr, (o, of) => of.setAttr(o, new Uint8Array(4))),
  'VfioPseudoDevice.getAttr(which)': device(attr, (o, of) => of.getAttr(o, 4)),
  'VfioPseudoDevice.hasAttr(which)': device(attr, (o, of) => of.hasAttr(o)),
  'VfioPseudoDevice.setAttr(which)': device(attr, (o, of) => of.setAttr(o, new Uint8Array(4))),
  'VfioPseudoDevice.forwardIrq(irq)': device(irq, (o, of) => of.forwardIrq(vfioDevice(), o)),
  'VfioPseudoDevice.unforwardIrq(irq)': device(irq, (o, of) => of.unforwardIrq(vfioDevice(), o)),
  'bindVfioPci(options)': { ...dry({ noIommu: false }, (o) => kit.bindVfioPci('0000:00:00.0', o)), anywhere: true },

  'apicvState(parameter)': onVm({ parameter: 'kvm_intel/parameters/enable_apicv', enabled: false }, (o, vm) =>
    kit.apicvState(vm, o),
  ),
  'forwardsIcrWrites(options)': dry({ inhibit: true }, (o, { kvm }) => kit.forwardsIcrWrites(kvm, o)),
  'measureApicv(options)': dry({ inhibit: true }, (o, { kvm }) => kit.measureApicv(kvm, o)),
  'cpuidEntry(cpuid[])': {
    good: ({ kvm }) => [kvm.supportedCpuid()],
    call: (o) => kit.cpuidEntry(o, 1),
  },
  'hidePvIpi(cpuid[])': { good: ({ kvm }) => [kvm.supportedCpuid()], call: (o) => kit.hidePvIpi(o) },
  'hideX2apic(cpuid[])': { good: ({ kvm }) => [kvm.supportedCpuid()], call: (o) => kit.hideX2apic(o) },
  'showTscDeadline(cpuid[])': { good: ({ kvm }) => [kvm.supportedCpuid()], call: (o) => kit.showTscDeadline(o) },
  'hypervCpuid(cpuid[])': { good: ({ kvm }) => [kvm.supportedCpuid()], call: (o) => kit.hypervCpuid(o, []) },
  'hypervCpuid(hyperv[])': { good: ({ kvm }) => [kvm.supportedCpuid()], call: (o) => kit.hypervCpuid([], o) },
  'enterFlat32(entry)': onVcpu(flat, (o, vcpu) => kit.enterFlat32(vcpu, o)),
  'enterLong64(entry)': onVcpu(
    (vcpu) => ({ ...flat(vcpu), cr3: 0x2000 }),
    (o, vcpu) => kit.enterLong64(vcpu, o),
  ),
  'enterReal16(entry)': onVcpu(
    () => ({ rip: 0x1000, rsp: 0x1000, ss: 0, ds: 0, interrupts: false }),
    (o, vcpu) => kit.enterReal16(vcpu, o),
  ),

  'describeIcr(icr)': anywhere(kit.decodeIcr(0x4040), kit.describeIcr),
  'encodeIcr(fields)': anywhere(icr, kit.encodeIcr),
  'encodeIcr2(fields)': anywhere({ destination: 1, reserved: 0 }, kit.encodeIcr2),
  'encodeX2Icr(fields)': anywhere({ ...icr, destination: 1 }, kit.encodeX2Icr),
  'encodeMessage(message)': anywhere({ type: 1 }, kit.encodeMessage),
  'encodeSint(sint)': anywhere({ vector: 0x40, masked: false, autoEoi: true }, kit.encodeSint),
  'disassemble(options)': anywhere({ mode: 'flat32', origin: 0, count: 1 }, (o) =>
    kit.disassemble(new Uint8Array(1), o),
  ),

  'enableApic(access)': anywhere(access, kit.enableApic),
  'eoi(access)': anywhere(access, kit.eoi),
  'icr(access)': anywhere({ base: 0xfee0_0000 }, (o) => kit.icr(icr, o)),
  'icr(fields)': anywhere(icr, (o) => kit.icr(o)),
  'icr2(access)': anywhere({ base: 0xfee0_0000 }, (o) => kit.icr2(1, o)),
  'initSipiSipi(access)': anywhere(access, (o) => kit.initSipiSipi(1, 1, o)),
  'ipi(fields)': anywhere({ to: 1, ...icr, ...access }, kit.ipi),
  'ipiAndWait(fields)': anywhere({ to: 1, ...icr }, (o) => kit.ipiAndWait(o, 0x1000)),
  'logicalCluster(access)': anywhere({ base: 0xfee0_0000 }, (o) => kit.logicalCluster(1, 1, o)),
  'logicalFlat(access)': anywhere({ base: 0xfee0_0000 }, (o) => kit.logicalFlat(1, o)),
  'nmi(access)': anywhere(access, (o) => kit.nmi(1, o)),
  'readApic(access)': anywhere(access, (o) => kit.readApic('TPR', o)),
  'waitSent(access)': anywhere(access, kit.waitSent),
  'writeApic(access)': anywhere(access, (o) => kit.writeApic('TPR', 0, o)),
  'enableSynic(places)': anywhere({ messages: 0x1000, events: null }, kit.enableSynic),
  'setSint(fields)': anywhere({ vector: 0x40 }, (o) => kit.setSint(1, o)),
};

function vfioDevice(): kit.VfioDevice {
  return Object.create(kit.VfioDevice.prototype) as kit.VfioDevice;
}
