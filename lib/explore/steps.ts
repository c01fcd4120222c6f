/** What histories are made of: steps that mean something in every mode, and the operations that each is in a state. */
import { decodeIcr } from '../abi/apic/icr.ts';
import { type LapicRegisterName, lapicRegisterName, lapicRegisters } from '../abi/apic/lapic.ts';
import { IA32_APIC_BASE, registerMsr } from '../abi/apic/msr.ts';
import type { ApicMode } from '../apic/mode.ts';
import type { GuestOperation, HostOperation, Operation } from '../apic/model/operations.ts';
import {
  apicBaseIn,
  HALTED,
  type ModelOptions,
  type ModelState,
  modeOf,
  numberOf,
  type Processor,
  WAIT_FOR_SIPI,
} from '../apic/model/state.ts';
import { dispatchableIn } from '../apic/model/step.ts';
import { AT_ONCE, FAR, FAR_DEADLINE, IA32_TSC_DEADLINE, PERIODIC, TSC_DEADLINE } from '../apic/model/timer.ts';

export type Step =
  /** An IPI, the way that the mode has: ICR2 and ICR, or the x2APIC's ICR. */
  | { readonly do: 'send'; readonly on: number; readonly destination: number; readonly icr: number }
  | { readonly do: 'poke'; readonly on: number; readonly register: LapicRegisterName; readonly value: number }
  | { readonly do: 'peek'; readonly on: number; readonly register: LapicRegisterName }
  | { readonly do: 'base'; readonly on: number; readonly mode: ApicMode | 'invalid' }
  /** User space brings every vCPU into a mode. */
  | { readonly do: 'modes'; readonly mode: ApicMode }
  | GuestOperation
  | HostOperation;

/** What the page has no answer for that could be compared. */
const unreadable: readonly LapicRegisterName[] = ['EOI', 'RRD', 'LVT_CMCI', 'SELF_IPI', 'TMCCT'];

const SMI = 2;
const modesOfNobody = [SMI, 3];

/** What the machine below KVM cannot bear. */
export interface Frailty {
  /**
   * QEMU 7.2 ends itself when a guest writes CR8 while a virtual interrupt waits (helper_write_crN takes no lock for that). KVM
   * leaves one there until the guest enables its interrupts.
   */
  cr8WhileWaiting: boolean;
}

/** The operations that a step is now; none where it means nothing, or where what follows is nobody's to say. */
export function operationsOf(state: ModelState, step: Step, frailty: Frailty): readonly Operation[] {
  const { processors } = state;
  if ('on' in step && step.on >= processors.length) return [];
  if (step.do === 'modes')
    return processors.flatMap((one, on) =>
      modeOf(one) === step.mode || one.mpState === WAIT_FOR_SIPI ? [] : [{ do: 'setBase', on, mode: step.mode }],
    );
  if (step.do === 'msi') return isSendable(state, 'msi', (step.data >>> 8) & 7, step) ? [step] : [];
  if (step.do === 'handlers' || step.do === 'nmi') return [step];
  const processor = processors[step.on]!;
  const mode = modeOf(processor);
  // CR8 would be lost when a SIPI starts it.
  if (processor.mpState === WAIT_FOR_SIPI) return [];
  switch (step.do) {
    case 'setLapic':
      return isTimely(processor, step.register, step.value) ? [step] : [];
    case 'restore':
    case 'setBase':
      return [step];
    default:
  }
  if (processor.mpState === HALTED && !wakes(state, step.on)) return [];
  switch (step.do) {
    case 'hlt':
      // Whether it sleeps then is nobody's to say.
      return processor.unseen ? [] : [step];
    case 'writeCr8':
      return frailty.cr8WhileWaiting && !processor.interrupts ? [] : [step];
    case 'send':
      return sendOf(state, step, mode);
    case 'poke':
      // A send has a step of its own, which knows what may be sent.
      if (step.register === 'ICR') return [];
      if (!isTimely(processor, step.register, step.value)) return [];
      if (mode !== 'x2apic') return [{ do: 'write', on: step.on, register: step.register, value: step.value }];
      return msrOf(state, { do: 'wrmsr', on: step.on, msr: registerMsr(step.register), low: step.value, high: 0 });
    case 'write':
      // In the page, in whatever mode.
      return mode === 'xapic' && (step.register === 'ICR' || !isTimely(processor, step.register, step.value))
        ? []
        : [step];
    case 'read':
      return mode === 'xapic' && unreadable.includes(step.register) ? [] : [step];
    case 'peek':
      if (mode === 'x2apic') return [{ do: 'rdmsr', on: step.on, msr: registerMsr(step.register) }];
      return unreadable.includes(step.register) ? [] : [{ do: 'read', on: step.on, register: step.register }];
    case 'base':
      return [{ do: 'wrmsr', on: step.on, msr: IA32_APIC_BASE, low: apicBaseIn(step.mode, step.on), high: 0 }];
    case 'wrmsr':
      return msrOf(state, step);
    case 'rdmsr':
      return step.msr === registerMsr('TMCCT') ? [] : [step];
    default:
      return [step];
  }
}

function wakes(state: ModelState, vcpu: number): boolean {
  const processor = state.processors[vcpu]!;
  return processor.nmis > 0 || (processor.interrupts && dispatchableIn(state, vcpu) >= 0);
}

function sendOf(
  state: ModelState,
  { on, destination, icr }: Extract<Step, { do: 'send' }>,
  mode: ApicMode,
): readonly Operation[] {
  if (mode === 'disabled' || !isSendable(state, mode, (icr >>> 8) & 7, { icr, destination })) return [];
  if (mode === 'x2apic')
    return [
      { do: 'wrmsr', on, msr: registerMsr('ICR'), low: icr, high: destination === 0xff ? 0xffff_ffff : destination },
    ];
  const icr2 = (destination << 24) >>> 0;
  const write = { do: 'write', on, register: 'ICR', value: icr } as const;
  // Under a shorthand nobody looks at it; where it is there already nothing is written.
  if (decodeIcr(icr).shorthand !== 'none' || state.processors[on]!.page[numberOf('ICR2')] === icr2) return [write];
  return [{ do: 'write', on, register: 'ICR2', value: icr2 }, write];
}

const SELF_IPI = registerMsr('SELF_IPI');
const X2_ICR = registerMsr('ICR');

function msrOf(state: ModelState, write: Extract<GuestOperation, { do: 'wrmsr' }>): readonly Operation[] {
  const register = lapicRegisterName((write.msr - 0x800) << 4);
  if (register !== undefined && !isTimely(state.processors[write.on]!, register, write.low)) return [];
  if (write.msr === IA32_TSC_DEADLINE && !deadlines.includes(write.high * 2 ** 32 + write.low)) return [];
  if (write.msr === SELF_IPI && isException(write.low)) return [];
  if (write.msr === X2_ICR && !isSendable(state, 'x2apic', (write.low >>> 8) & 7, write)) return [];
  return [write];
}

const deadlines = [0, AT_ONCE, FAR_DEADLINE];

/** A timer that expires while somebody looks, again and again, or by an exception's vector, is nobody's to predict. */
function isTimely({ page, timer }: Processor, register: LapicRegisterName, value: number): boolean {
  const count = page[numberOf('TMICT')]!;
  if (register === 'TMICT') {
    const isPeriodic = (page[numberOf('LVT_TIMER')]! & PERIODIC) !== 0;
    return value === 0 || value >= FAR || (value === AT_ONCE && !isPeriodic);
  }
  if (register !== 'LVT_TIMER') return true;
  const mode = value & (PERIODIC | TSC_DEADLINE);
  if (mode === (PERIODIC | TSC_DEADLINE) || isException(value)) return false;
  return mode !== PERIODIC || count === 0 || timer.counting;
}

/** The APIC may bring such a vector, and the guest takes it for the exception. */
const isException = (low: number) => (low & 0xff) >= 16 && (low & 0xff) < 32;

/** In a machine whose APICs are in different modes, who is named by a logical id or a broadcast is nobody's to say. */
function isSendable(
  { processors }: ModelState,
  by: 'msi' | ApicMode,
  deliveryMode: number,
  what: { icr?: number; low?: number; data?: number; addressLo?: number; destination?: number; high?: number },
): boolean {
  if (modesOfNobody.includes(deliveryMode)) return false;
  if (deliveryMode < SMI && isException(what.icr ?? what.low ?? what.data ?? 0)) return false;
  const modes = new Set(processors.map(modeOf).filter((mode) => mode !== 'disabled'));
  if (modes.size < 2) return true;
  const command = decodeIcr(what.icr ?? what.low ?? what.data ?? 0);
  if (by !== 'msi' && command.shorthand !== 'none') return true;
  const destination = what.destination ?? what.high ?? ((what.addressLo ?? 0) >>> 12) & 0xff;
  const isLogical = by === 'msi' ? ((what.addressLo ?? 0) & 4) !== 0 : command.destinationMode === 'logical';
  return !isLogical && destination < 0x10;
}

/** Registers that steps poke and peek. */
export const pokable = (Object.keys(lapicRegisters) as LapicRegisterName[]).filter(
  (name) => !['TMICT', 'ICR', 'LVT_CMCI'].includes(name),
);

/** A step whose end nobody could see: an INIT to itself that no exit tells of, on the boot processor. */
export function isLost(options: ModelOptions, operation: Operation, ended: string | null): boolean {
  if (ended !== 'init' || !('on' in operation)) return false;
  const hasExit = operation.do === 'write' ? options.forwards : options.forwardsMsrs;
  return !hasExit && operation.on === 0;
}
