/** One operation, done to the model. */
import { type LapicRegisterName, lapicRegisterName } from '../../abi/apic/lapic.ts';
import { IA32_APIC_BASE, registerMsr } from '../../abi/apic/msr.ts';
import { takeNmi } from './accept.ts';
import { writeBase } from './base.ts';
import { Draft } from './draft.ts';
import { sendMsi } from './icr.ts';
import { type GuestOperation, type HostOperation, isGuests, type Operation, type StepSeen } from './operations.ts';
import { dispatchable, endOfInterrupt, rememberAnew, serve, setTpr, setTprByCpu, updatePpr } from './priority.ts';
import { writePage } from './registers.ts';
import type { RuleName } from './rules.ts';
import { apicBaseIn, HALTED, type ModelOptions, type ModelState, numberOf, RUNNABLE } from './state.ts';
import { deadlineOf, hasExpired, IA32_TSC_DEADLINE, interruptByTimer, restoreTimer, setDeadline } from './timer.ts';
import { readX2apic, writeX2apic } from './x2apic.ts';

const X2_ICR = registerMsr('ICR');
const SELF_IPI = registerMsr('SELF_IPI');
const NMI = 2;
const GENERAL_PROTECTION = 13;

/** What came of an operation, and by which rules. */
export interface StepOutcome {
  state: ModelState;
  seen: StepSeen;
  /** By vCPU and field; `null` where nobody has asked. */
  blame: ReadonlyMap<string, RuleName> | null;
  /** vCPUs that have been reset (-1), or started by a SIPI with this vector. */
  started: ReadonlyMap<number, number>;
  /** How many outcomes there are: `choice` below that. */
  choices: number;
}

/**
 * Does one operation. Where the SDM or KVM leaves open what happens (who takes a lowest-priority interrupt), each possible outcome
 * has its number: `choice`, from 0 to `choices` - 1.
 *
 * @param explains tell which rule touched what
 */
export function step(
  options: ModelOptions,
  before: ModelState,
  operation: Operation,
  choice = 0,
  explains = false,
): StepOutcome {
  const draft = new Draft(before, options, choice, explains);
  if (isGuests(operation)) guest(draft, operation);
  else host(draft, operation);
  const { state, seen, blame, started, choices } = draft;
  return { state, seen, blame, started, choices: choices.count };
}

/**
 * The handlers that run, as long as there is something to handle.
 *
 * @param looks KVM has looked whether the timer has expired
 */
function deliver(draft: Draft, vcpu: number, looks = false): void {
  const processor = draft.of(vcpu);
  for (;;) {
    // KVM looks at the timer after any exit that it answers itself: it may have had one by now.
    if (hasExpired(draft, vcpu) && (looks || draft.choices.of(2) === 0)) interruptByTimer(draft, vcpu);
    const vector = dispatchable(draft, vcpu);
    if (processor.nmis > 0) {
      processor.nmis -= 1;
      draft.touch(vcpu, 'NMIs that wait', 'nmi');
      draft.seen.handled.push(NMI);
    } else if (processor.interrupts && vector >= 0) {
      if (processor.unseen && draft.choices.of(2) === 1) return;
      processor.unseen = false;
      serve(draft, vcpu, vector);
      draft.seen.handled.push(vector);
      if (processor.eoi) endOfInterrupt(draft, vcpu);
    } else return;
    draft.touch('all', 'handlers', 'accept.order');
  }
}

function guest(draft: Draft, operation: GuestOperation): void {
  const { on: vcpu } = operation;
  const processor = draft.of(vcpu);
  const slept = processor.mpState === HALTED;
  processor.mpState = RUNNABLE;
  takeVtpr(draft, vcpu);
  deliver(draft, vcpu, slept);
  perform(draft, operation);
  if (draft.started.has(vcpu)) {
    draft.seen.ended = 'init';
    return;
  }
  takeVtpr(draft, vcpu);
  const handled = draft.seen.handled.length;
  deliver(draft, vcpu, isAnswered(draft, operation));
  const sleeps = operation.do === 'hlt' && draft.seen.handled.length === handled;
  draft.seen.ended = sleeps ? 'asleep' : 'done';
  if (sleeps) processor.mpState = HALTED;
  draft.touch(vcpu, 'mp_state', 'hlt');
}

/** Operations that make the vCPU leave its guest, and that KVM answers. */
const isAnswered = (draft: Draft, { do: what, on }: GuestOperation): boolean =>
  what === 'cpuid' || what === 'hlt' || (what === 'read' && draft.mode(on) === 'xapic');

/**
 * The deviation `tpr-low-bits`: on AMD KVM takes TPR from V_TPR at an exit from the guest, and PPR follows, also with the APIC
 * disabled.
 */
function takeVtpr(draft: Draft, vcpu: number): void {
  if (draft.options.vendor !== 'amd') return;
  const tpr = draft.get(vcpu, 'TPR');
  const follows = draft.mode(vcpu) === 'disabled' || (tpr & 0xf) !== 0;
  if (follows && draft.choices.of(2) === 0) setTpr(draft, vcpu, tpr & 0xf0, 'tpr');
}

function perform(draft: Draft, operation: GuestOperation): void {
  const { on: vcpu } = operation;
  const processor = draft.of(vcpu);
  switch (operation.do) {
    case 'write':
      write(draft, vcpu, operation.register, operation.value);
      return;
    case 'read':
      draft.touch('all', 'result', 'read');
      draft.seen.result = { low: read(draft, vcpu, operation.register), high: 0 };
      return;
    case 'wrmsr':
      if (!writeMsr(draft, vcpu, operation)) fault(draft);
      return;
    case 'rdmsr':
      draft.touch('all', 'result', 'read');
      draft.seen.result = readMsr(draft, vcpu, operation.msr);
      if (draft.seen.result === null) fault(draft);
      return;
    case 'writeCr8':
      setTprByCpu(draft, vcpu, (operation.value & 0xf) << 4, 'cr8');
      return;
    case 'readCr8':
      draft.touch('all', 'result', 'cr8');
      draft.seen.result = { low: draft.get(vcpu, 'TPR') >> 4, high: 0 };
      return;
    case 'sti':
      processor.interrupts = true;
      return;
    case 'cli':
      processor.interrupts = false;
      return;
    default:
  }
}

function fault(draft: Draft): void {
  draft.touch('all', 'handlers', 'x2apic.gp');
  draft.seen.handled.push(GENERAL_PROTECTION);
}

function write(draft: Draft, vcpu: number, register: LapicRegisterName, value: number): void {
  // There is no page: the deviation `mmio-hole`.
  if (draft.mode(vcpu) !== 'xapic') {
    draft.touch(vcpu, register, 'x2apic.mmio');
    return;
  }
  writePage(draft, vcpu, register, value);
  draft.touch('all', 'exits', 'forward.exit');
  if (!draft.options.forwards || (register !== 'ICR' && register !== 'ICR2')) return;
  // KVM tells of the write before it takes the INIT that the vCPU may have sent to itself.
  const icr2 = register === 'ICR2' ? value & 0xff00_0000 : draft.icr2Before;
  draft.exit({
    id: vcpu,
    val: numberOf(register) << 4,
    val2: value >>> 0,
    destId: icr2 >>> 24,
  });
}

function read(draft: Draft, vcpu: number, register: LapicRegisterName): number {
  if (draft.mode(vcpu) !== 'xapic') return 0xffff_ffff;
  if (register === 'PPR') updatePpr(draft, vcpu);
  return register === 'APR' ? 0 : draft.get(vcpu, register);
}

interface MsrWrite {
  msr: number;
  low: number;
  high: number;
}

function writeMsr(draft: Draft, vcpu: number, write: MsrWrite): boolean {
  const isTaken = takeMsr(draft, vcpu, write);
  if (isTaken && draft.options.forwardsMsrs) forwardMsr(draft, vcpu, write);
  return isTaken;
}

function forwardMsr(draft: Draft, id: number, { msr, low, high }: MsrWrite): void {
  draft.touch('all', 'exits', 'forward.msr');
  if (msr === X2_ICR) draft.exit({ id, low: low >>> 0, high: high >>> 0 });
  else if (msr === SELF_IPI) draft.exit({ id, val: numberOf('SELF_IPI') << 4, val2: low >>> 0, destId: 0 });
  else if (msr === IA32_APIC_BASE) draft.exit({ id, base: high * 2 ** 32 + low });
}

function takeMsr(draft: Draft, vcpu: number, { msr, low, high }: MsrWrite): boolean {
  if (msr === IA32_APIC_BASE) return writeBase(draft, vcpu, high * 2 ** 32 + low);
  if (msr === IA32_TSC_DEADLINE) {
    setDeadline(draft, vcpu, high * 2 ** 32 + low);
    return true;
  }
  return writeX2apic(draft, vcpu, msr, low, high);
}

function readMsr(draft: Draft, vcpu: number, msr: number): { low: number; high: number } | null {
  if (msr === IA32_APIC_BASE) return { low: draft.of(vcpu).apicBase >>> 0, high: 0 };
  if (msr === IA32_TSC_DEADLINE) {
    draft.touch('all', 'result', 'timer.deadline');
    const deadline = deadlineOf(draft, vcpu);
    return { low: deadline >>> 0, high: Math.floor(deadline / 2 ** 32) };
  }
  if (lapicRegisterName((msr - 0x800) << 4) === 'PPR') updatePpr(draft, vcpu);
  return readX2apic(draft, vcpu, msr);
}

function host(draft: Draft, operation: HostOperation): void {
  switch (operation.do) {
    case 'msi':
      draft.touch('all', 'delivered', 'icr.destination');
      draft.seen.delivered = sendMsi(draft, operation.addressLo, operation.data);
      return;
    case 'nmi':
      takeNmi(draft, operation.on);
      return;
    case 'handlers':
      draft.of(operation.on).eoi = operation.eoi;
      return;
    case 'setBase':
      writeBase(draft, operation.on, apicBaseIn(operation.mode, operation.on), true);
      return;
    case 'setLapic':
      setLapic(draft, operation);
      restore(draft, operation.on);
      return;
    case 'restore':
      restore(draft, operation.on);
      return;
  }
}

/** What user space has changed in the page that it gives back. */
function setLapic(draft: Draft, { on, register, value }: Extract<HostOperation, { do: 'setLapic' }>): void {
  const isX2apic = draft.mode(on) === 'x2apic';
  // The id is the vCPU's, and LDR follows from it, whatever the page says.
  if (isX2apic && (register === 'ID' || register === 'LDR')) draft.touch(on, register, 'x2apic.id');
  else if (isX2apic && register === 'ICR2' && draft.options.vendor === 'intel') draft.of(on).icrHigh = value;
  else draft.set(on, register, value, 'state.set');
}

/** KVM_SET_LAPIC. Its PPR is the deviation `ppr-of-set-lapic`. */
function restore(draft: Draft, vcpu: number): void {
  // The page that is given back has the upper half of the ICR there.
  if (draft.mode(vcpu) === 'x2apic' && draft.options.vendor === 'intel')
    draft.set(vcpu, 'ICR2', draft.of(vcpu).icrHigh, 'state.set');
  updatePpr(draft, vcpu, 'state.set');
  rememberAnew(draft, vcpu);
  restoreTimer(draft, vcpu);
}

/** The vector that a vCPU's APIC would dispatch if its guest ran with interrupts enabled and KVM has looked at its timer, or -1. */
export function dispatchableIn(state: ModelState, vcpu: number): number {
  const draft = new Draft(state, { vendor: 'amd', forwards: false, hashing: true }, 0);
  if (hasExpired(draft, vcpu)) interruptByTimer(draft, vcpu);
  return dispatchable(draft, vcpu);
}
