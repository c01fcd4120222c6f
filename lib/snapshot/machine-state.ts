/** A whole VM in one buffer. */
import { capabilityNumber } from '../abi/kvm/capability.ts';
import { exitReasonName } from '../abi/kvm/exit-reason.ts';
import { KVM_IRQCHIP_IOAPIC, kvmClockData, kvmIrqchip, kvmPitState2 } from '../abi/kvm/index.ts';
import { ioctls } from '../abi/kvm/ioctl.ts';
import { KvmRunView } from '../abi/kvm/kvm-run.ts';
import { checkInstance } from '../base/check.ts';
import { KvmDsmError } from '../base/errors.ts';
import { GuestMemory } from '../kvm/guest-memory.ts';
import { Kvm } from '../kvm/kvm.ts';
import type { Vcpu } from '../kvm/vcpu/vcpu.ts';
import { Vm } from '../kvm/vm/vm.ts';
import { type MachineConfig, packConfig, unpackConfig } from './config.ts';
import { packSections, type Section, type SectionKind, unpackSections } from './container.ts';
import { PendingExitError, StateFormatError, StateMismatchError } from './errors.ts';
import { packPages, unpackPages } from './pages.ts';
import { checkVcpu, restoreVcpu, saveVcpu, tscKhzOf, type VcpuBodies } from './vcpu.ts';

/**
 * Saves a VM: the content of its memory, interrupt controllers, PIT, clock, and every vCPU, to one buffer.
 *
 * No vCPU may be running. Each is entered first, without running its guest (`vcpu.settle()`), so that KVM finishes the
 * instruction that its last exit was in the middle of: answer the exit before you save. An exit that comes of it is in no
 * KVM_GET_*, so that it cannot be saved: a forwarded DSM interrupt that was kept back by a signal, or the next part of a
 * long access. The save then refuses with PendingExitError and loses nothing: the exit lies in the vCPU's kvm_run. Handle
 * it and save again.
 *
 * Of the MSRs it has all that KVM_GET_MSR_INDEX_LIST names and those that this package knows beside them (lib/snapshot/msrs.ts:
 * MTRRs, machine-check banks, synthetic timers, ...), as far as the vCPU has them. MSRs that a filter hands to user space,
 * and those that a later kernel knows beside its list, are not among them; the clocks (TSC, HV_X64_MSR_VP_RUNTIME) go on from
 * where they were.
 *
 * Not in the buffer, since they are this process' or cannot be asked for: irqfds, ioeventfds, coalesced zones, MSR
 * filters, devices (KVM_CREATE_DEVICE), nested guests, and what `ioctlRaw` set up.
 *
 * @throws PendingExitError; ClosedError if the VM, a vCPU or one of its memories is closed; IoctlError
 */
export function saveMachineState(kvm: Kvm, vm: Vm): Uint8Array<ArrayBuffer> {
  checkInstance('kvm', kvm, Kvm);
  checkInstance('vm', vm, Vm);
  const vcpus = [...vm.vcpus.values()];
  for (const vcpu of vcpus) if (vcpu.settle()) throw pendingExit(vcpu);

  const memories = [...new Set([...vm.slots.values()].map(({ memory }) => memory))];
  const sections: Section[] = [{ kind: 'config', index: 0, body: packConfig(configOf(vm, vcpus, memories)) }];
  const indices = kvm.msrIndexList();
  for (const vcpu of vcpus) sections.push(...saveVcpu(vm, vcpu, indices));
  if (vm.irqchip === 'full')
    for (let chip = 0; chip <= KVM_IRQCHIP_IOAPIC; chip++) {
      const body = kvmIrqchip.encode({ chipId: chip });
      vm.ioctlRaw(ioctls.KVM_GET_IRQCHIP, body);
      sections.push({ kind: 'irqchip', index: chip, body });
    }
  const read = (kind: SectionKind, request: number, size: number) => {
    const body = new Uint8Array(size);
    vm.ioctlRaw(request, body);
    sections.push({ kind, index: 0, body });
  };
  if (vm.pitFlags !== null) read('pit2', ioctls.KVM_GET_PIT2, kvmPitState2.size);
  read('clock', ioctls.KVM_GET_CLOCK, kvmClockData.size);
  memories.forEach((memory, index) => {
    sections.push({ kind: 'memory', index, body: packPages(memory) });
  });
  return packSections(sections);
}

/** For a vCPU whose `settle()` made an exit. */
export function pendingExit(vcpu: Vcpu): PendingExitError {
  const { exitReason } = new KvmRunView(vcpu.kvmRun);
  // By the profile first: a number of the series may be another's in a kernel without it.
  const { name } = vcpu.exit();
  const known = name === 'unrecognized' ? exitReasonName(exitReason) : name;
  return new PendingExitError(vcpu.vcpuId, known ?? name, exitReason);
}

function configOf(vm: Vm, vcpus: readonly Vcpu[], memories: readonly GuestMemory[]): MachineConfig {
  return {
    ...vm.setup,
    irqchip: vm.irqchip,
    pitFlags: vm.pitFlags,
    caps: [...vm.enabledCaps],
    routes: vm.gsiRouting === null ? null : [...vm.gsiRouting],
    memories: memories.length,
    slots: [...vm.slots.values()].map((slot) => ({ ...slot, memory: memories.indexOf(slot.memory) })),
    vcpus: vcpus.map((vcpu) => ({
      vcpuId: vcpu.vcpuId,
      caps: [...vcpu.enabledCaps],
      tscKhz: tscKhzOf(vcpu),
      debugControl: vcpu.guestDebug.control ?? 0,
      debugreg: [...(vcpu.guestDebug.debugreg ?? [])],
    })),
  };
}

interface Parsed {
  config: MachineConfig;
  vcpus: VcpuBodies[];
  irqchips: Uint8Array[];
  pit: Uint8Array | null;
  clock: Uint8Array;
  memories: ReturnType<typeof unpackPages>[];
}

/** Reads the whole buffer before anything is done with it. Throws StateFormatError, StateVersionError. */
function parse(state: Uint8Array): Parsed {
  const sections = unpackSections(state);
  const found = new Map<string, Uint8Array>();
  for (const { kind, index, body } of sections) {
    const key = `${kind} ${index}`;
    if (found.has(key)) throw new StateFormatError(`the section ${key} is there twice`);
    found.set(key, body);
  }
  const take = (kind: SectionKind, index = 0, size?: number): Uint8Array => {
    const body = found.get(`${kind} ${index}`);
    if (!body) throw new StateFormatError(`the section ${kind} ${index} is missing`);
    if (size !== undefined && body.length !== size)
      throw new StateFormatError(`the section ${kind} ${index} has ${body.length} bytes, not ${size}`);
    return body;
  };
  const config = unpackConfig(take('config'));
  const memories = Array.from({ length: config.memories }, (_, index) => unpackPages(take('memory', index)));
  for (const { slot, memory, offset, size } of config.slots)
    if (size === 0 || offset + size > memories[memory]!.size)
      throw new StateFormatError(`slot ${slot} reaches past its memory`);
  const ids = new Set(config.vcpus.map(({ vcpuId }) => vcpuId));
  if (ids.size !== config.vcpus.length) throw new StateFormatError('a vcpu_id is there twice');
  const vcpus = config.vcpus.map((vcpu) => {
    const bodies = sections.filter(({ index }) => index === vcpu.vcpuId).map(({ kind, body }) => [kind, body] as const);
    const parsed = { config: vcpu, bodies: new Map(bodies) };
    checkVcpu(parsed);
    return parsed;
  });
  const chips = config.irqchip === 'full' ? [0, 1, 2] : [];
  return {
    config,
    vcpus,
    irqchips: chips.map((chip) => take('irqchip', chip, kvmIrqchip.size)),
    pit: config.pitFlags === null ? null : take('pit2', 0, kvmPitState2.size),
    clock: take('clock', 0, kvmClockData.size),
    memories,
  };
}

/**
 * Restores a saved machine into a fresh VM: `kvm.createVm()`, with at most its MSR filter and the like set up. It makes the
 * interrupt controllers, the memory and the vCPUs (`vm.vcpus`), as the saved VM had them.
 *
 * The buffer is read and checked as a whole first: a malformed one leaves the VM as it was. If the kernel refuses a part,
 * the VM is half made: close it.
 *
 * @returns the memories, in the order of the slots that use them; the VM holds them too
 * @throws StateFormatError, StateVersionError for the buffer; StateMismatchError if the VM is not fresh, or with what the
 *   kernel refused; ClosedError
 */
export function restoreMachineState(vm: Vm, state: Uint8Array): GuestMemory[] {
  checkInstance('vm', vm, Vm);
  const parsed = parse(state);
  if (vm.vcpus.size > 0 || vm.hasMemory || vm.irqchip !== 'none')
    throw new StateMismatchError('the VM is not fresh', 'Restore into a VM that kvm.createVm() has just made.');
  const memories: GuestMemory[] = [];
  try {
    for (const { size, fill } of parsed.memories) {
      const memory = GuestMemory.allocate(size);
      memories.push(memory);
      fill(memory);
    }
    build(vm, parsed, memories);
  } catch (error) {
    for (const memory of memories) memory.close();
    if (error instanceof StateMismatchError || !(error instanceof KvmDsmError)) throw error;
    throw new StateMismatchError(
      error.message,
      'Restore it on a host whose KVM can do what the saved one could.',
      error,
    );
  }
  return memories;
}

/** What the fresh VM has asked for by its profile, and the saved one had not. */
function takeBackOptIn(vm: Vm, caps: MachineConfig['caps']): void {
  const capability = vm.profile.optIn?.capability;
  const has = (enabled: MachineConfig['caps']) => enabled.some(({ cap }) => capabilityNumber(cap) === capability);
  if (capability !== undefined && has([...vm.enabledCaps]) && !has(caps)) vm.enableCap(capability, [0n]);
}

function build(vm: Vm, { config, vcpus, irqchips, pit, clock }: Parsed, memories: readonly GuestMemory[]): void {
  if (config.tssAddr !== null) vm.setTssAddr(config.tssAddr);
  if (config.identityMapAddr !== null) vm.setIdentityMapAddr(config.identityMapAddr);
  if (config.bootCpuId !== null) vm.setBootCpuId(config.bootCpuId);
  if (config.irqchip === 'full') vm.createIrqchip();
  takeBackOptIn(vm, config.caps);
  for (const { cap, args } of config.caps) vm.enableCap(cap, args);
  if (config.pitFlags !== null) vm.createPit2({ speakerDummy: config.pitFlags !== 0 });
  if (config.routes !== null) vm.setGsiRouting(config.routes);
  for (const slot of config.slots) vm.setMemory({ ...slot, memory: memories[slot.memory]! });
  for (const { config: vcpu } of vcpus) vm.createVcpu(vcpu.vcpuId);
  for (const saved of vcpus) restoreVcpu(vm.vcpus.get(saved.config.vcpuId)!, saved);
  // Again: KVM takes the way back from a SINT to its gsi then, for the SynICs that are there.
  if (config.routes?.some(({ type }) => type === 'hvSint')) vm.setGsiRouting(config.routes);
  // After the LAPICs: what waits in the IOAPIC is delivered to them now.
  for (const body of irqchips) vm.ioctlRaw(ioctls.KVM_SET_IRQCHIP, body.slice());
  if (pit) vm.ioctlRaw(ioctls.KVM_SET_PIT2, pit.slice());
  // Last: the vCPUs' TSCs are what it is computed from. The guest's time goes on from where it was.
  vm.setClock({ clock: kvmClockData.decode(clock).clock });
}
