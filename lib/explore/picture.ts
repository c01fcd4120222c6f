/** A history whose end KVM and the model see differently, as a picture: what was done, whom its interrupts name, where the two part. */
import { decodeIcr, decodeX2Icr } from '../abi/apic/icr.ts';
import type { LapicRegisterName } from '../abi/apic/lapic.ts';
import { registerMsr } from '../abi/apic/msr.ts';
import { type ApicView, apicView, resolve } from '../apic/destination.ts';
import { type Ipi, ipiOfMsi } from '../apic/ipi.ts';
import { isGuests, type Operation } from '../apic/model/operations.ts';
import { type ModelState, modeOf, numberOf } from '../apic/model/state.ts';
import { hex } from '../base/text.ts';
import type { Delivery } from '../picture/judge.ts';
import type { Picture, PictureItem, PictureLane } from '../picture/picture.ts';
import { ipiWords, ipiWordsBeside } from '../picture/words.ts';
import type { Difference } from './compare.ts';
import type { Parting } from './history.ts';

const NMI = 4 << 8;
const SELF = 1n << 18n;
const X2_ICR = registerMsr('ICR');
const SELF_IPI = registerMsr('SELF_IPI');

/** Each row has the number of its operation, from 1; where the two part, that of the last one. */
export function pictureOfParting({ operations, states, differences }: Parting): Picture {
  const last = operations.length - 1;
  const parted = new Set(differences.map(({ vcpu }) => vcpu));
  const done = operations.map((operation, at) => itemOf(operation, states[at]!, at, at === last ? parted : none));
  const lane = laneOf(operations[last]!);
  const apart = differences.map((one): PictureItem => {
    return { seq: last + 1, ns: last, lane: one.vcpu ?? lane, kind: 'word', text: differenceWords(one) };
  });
  const items = [...done, ...apart];
  const host: PictureLane[] = items.some((item) => item.lane === 'host') ? ['host'] : [];
  return { lanes: [...host, ...states[0]!.processors.keys()], items };
}

const none: ReadonlySet<number | null> = new Set();

function laneOf(operation: Operation): PictureLane {
  return isGuests(operation) ? operation.on : 'host';
}

function itemOf(operation: Operation, state: ModelState, at: number, parted: ReadonlySet<number | null>): PictureItem {
  const item = { seq: at + 1, ns: at, lane: laneOf(operation) };
  const ipi = ipiOf(operation, state);
  if (!ipi) {
    const isPreparing = operation.do === 'write' && operation.register === 'ICR2';
    return { ...item, kind: isPreparing ? 'prepares' : 'word', text: operationWords(operation) };
  }
  const named = resolve(ipi, state.processors.map(viewOf));
  const deliveries = named.map(
    ({ vcpu }): Delivery =>
      parted.has(vcpu)
        ? { to: vcpu, state: 'open', why: 'KVM and the model say something else' }
        : { to: vcpu, state: 'delivered' },
  );
  const { deliveryMode, vector } = ipi.command;
  const candidates = deliveryMode === 'lowestPriority' ? { candidates: named.length } : {};
  const judged = { seq: at + 1, from: ipi.from, command: { deliveryMode, vector }, deliveries, ...candidates };
  if (ipi.from === 'host')
    return { ...item, kind: 'ipi', text: operation.do === 'nmi' ? 'KVM_NMI' : `MSI ${ipiWords(ipi)}`, ipi: judged };
  const beside = ipiWordsBeside(ipi);
  return { ...item, kind: 'ipi', text: ipiWords(ipi), ...(beside !== undefined && { beside }), ipi: judged };
}

/** The interrupt that an operation sends in this state. */
function ipiOf(operation: Operation, { processors }: ModelState): Ipi | undefined {
  if (operation.do === 'msi') return ipiOfMsi(operation, null);
  if (operation.do === 'nmi') {
    const named = { by: 'vcpu', ids: [operation.on] } as const;
    return { from: 'host', command: decodeIcr(NMI), destination: 0, mode: 'xapic', named, seq: null };
  }
  if (!isGuests(operation)) return undefined;
  const from = operation.on;
  const processor = processors[from]!;
  const mode = modeOf(processor);
  if (operation.do === 'write' && operation.register === 'ICR' && mode === 'xapic') {
    const destination = processor.page[numberOf('ICR2')]! >>> 24;
    return { from, command: decodeIcr(operation.value), destination, mode, seq: null };
  }
  if (operation.do !== 'wrmsr' || mode !== 'x2apic') return undefined;
  const { msr, low, high } = operation;
  if (msr !== X2_ICR && msr !== SELF_IPI) return undefined;
  const value = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  const command = decodeX2Icr(msr === X2_ICR ? value : (value & 0xffn) | SELF);
  return { from, command, destination: command.destination, mode, seq: null };
}

function viewOf(processor: ModelState['processors'][number], vcpu: number): ApicView {
  const register = (name: LapicRegisterName) => processor.page[numberOf(name)]!;
  const ID = modeOf(processor) === 'x2apic' ? (vcpu << 24) >>> 0 : register('ID');
  const registers = { ID, LDR: register('LDR'), DFR: register('DFR'), SVR: register('SVR') };
  return apicView(vcpu, { registers }, BigInt(processor.apicBase >>> 0));
}

function operationWords(operation: Operation): string {
  const value = (number: number) => hex(number >>> 0);
  switch (operation.do) {
    case 'write':
      return `${operation.register} = ${value(operation.value)}`;
    case 'setLapic':
      return `vCPU ${operation.on}: ${operation.register} = ${value(operation.value)}`;
    case 'read':
      return `read ${operation.register}`;
    case 'wrmsr':
      return `MSR ${hex(operation.msr)} = ${value(operation.high)}:${value(operation.low)}`;
    case 'rdmsr':
      return `read MSR ${hex(operation.msr)}`;
    case 'writeCr8':
      return `CR8 = ${value(operation.value)}`;
    case 'restore':
      return `vCPU ${operation.on}: restored`;
    case 'setBase':
      return `vCPU ${operation.on}: ${operation.mode}`;
    case 'handlers':
      return `vCPU ${operation.on}: EOI ${operation.eoi ? 'on' : 'off'}`;
    case 'readCr8':
      return 'read CR8';
    default:
      return operation.do;
  }
}

function differenceWords({ field, kernel, model }: Difference): string {
  return `${field}: KVM ${kernel}, model ${model}`;
}
