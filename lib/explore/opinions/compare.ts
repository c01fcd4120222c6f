/** Where those who were asked differ, and who stands alone. */
import { lapicRegisterName } from '../../abi/apic/lapic.ts';
import { hex } from '../../base/text.ts';
import type { OwnHistory, OwnOperation } from './guest.ts';
import type { Sighting } from './told.ts';

/** Whom one can ask, in the order in which they are told. */
export const opinionNames = ['model', 'vmx', 'svm', 'qemu', 'bochs'] as const;
export type OpinionName = (typeof opinionNames)[number];

/** What was seen otherwise than by others. */
export interface Spot {
  mode: OwnHistory['mode'];
  /** `null`: before the first, behind the INIT. */
  operation: OwnOperation | null;
  /** A register's name, `handlers`, `result`, or `reset`. */
  field: string;
  /** The register that the operation reads, or writes. */
  register: string | null;
  values: ReadonlyMap<OpinionName, string>;
  /** What was seen before the operation by those who are compared. */
  before: Sighting | null;
}

/** One that is known to do something in its own way. */
export interface Known {
  readonly name: string;
  readonly who: readonly OpinionName[];
  /** What it does, file and function. */
  readonly does: string;
  readonly where: string;
  readonly section: string;
  /** What it leaves behind changes more than the field: those that do it are compared no further. */
  readonly parts: boolean;
  /** Whether this is it. */
  covers(spot: Spot): boolean;
}

export interface OpinionDifference extends Spot {
  /** Which history, of those that were tried, */
  history: number;
  /** and after how many of its operations. */
  at: number;
  /** `bochs stands alone`, and so on. */
  verdict: string;
  /** What is known of it; none: nobody knows why. */
  known: readonly Known[];
}

/** Differences of one kind are alike. */
export const keyOf = ({ mode, operation, register, field, verdict }: OpinionDifference): string =>
  [mode, operation?.do, register, field, verdict].join(' ');

/** The opinions of one history: `null` of one whose machine has no such mode. */
export type Opinions = ReadonlyMap<OpinionName, readonly Sighting[] | null>;

/**
 * Compares them, operation by operation. Those that differ part, and are compared with those alone that have seen the same so far: what
 * comes of a difference is no other one. Where all that is known of a field explains a difference, that field is left out for the one who
 * has its own way, and the history goes on.
 */
export function compareHistory(
  history: number,
  { mode, operations }: OwnHistory,
  opinions: Opinions,
  known: readonly Known[],
): OpinionDifference[] {
  const found: OpinionDifference[] = [];
  const told = new Map([...opinions].flatMap(([name, one]) => (one === null ? [] : [[name, one] as const])));
  let groups: OpinionName[][] = [[...told.keys()]];
  const own = new Map<OpinionName, Set<string>>([...told.keys()].map((name) => [name, new Set<string>()]));
  for (let at = 0; at <= operations.length; at++) {
    const operation = operations[at - 1] ?? null;
    const register = operation === null ? null : registerOf(operation);
    const next: OpinionName[][] = [];
    for (const group of groups) {
      const parts = new Map<OpinionName, string>(group.map((name) => [name, '']));
      for (const field of fieldsOf(group.map((name) => told.get(name)![at]!))) {
        const subject = field === 'result' && register !== null ? register : field;
        const compared = group.filter((name) => !own.get(name)!.has(subject));
        const values = new Map(compared.map((name) => [name, valueIn(told.get(name)![at]!, field)]));
        if (new Set(values.values()).size < 2) continue;
        const before = told.get(compared[0]!)![at - 1] ?? null;
        const spot: Spot = { mode, operation, field, register, values, before };
        const explaining = explanation(
          known.filter((one) => one.covers(spot)),
          values,
        );
        const isKnown = explaining.length > 0;
        found.push({ ...spot, history, at, verdict: verdictOf(values), known: explaining });
        const mayStay = isKnown && field !== 'handlers' && field !== 'reset' && !explaining.some((one) => one.parts);
        for (const name of compared)
          if (!mayStay) parts.set(name, `${parts.get(name)} ${field} ${values.get(name)}`);
          else if (explaining.some(({ who }) => who.includes(name))) own.get(name)!.add(subject);
      }
      const bySight = new Map<string, OpinionName[]>();
      for (const [name, sight] of parts) bySight.set(sight, [...(bySight.get(sight) ?? []), name]);
      next.push(...bySight.values());
    }
    groups = next.filter((group) => group.length > 1 && !told.get(group[0]!)![at]!.reset);
    if (groups.length === 0) break;
  }
  return found;
}

/** The least that explains it: without those that have their own way the others agree. None: nothing does. */
function explanation(covering: readonly Known[], values: ReadonlyMap<OpinionName, string>): readonly Known[] {
  const sets = [
    ...covering.map((one) => [one]),
    ...covering.flatMap((one, at) => covering.slice(at + 1).map((other) => [one, other])),
    covering,
  ];
  const explains = (set: readonly Known[]) =>
    new Set([...values].filter(([name]) => !set.some(({ who }) => who.includes(name))).map(([, value]) => value)).size <
    2;
  return sets.find(explains) ?? [];
}

/** Those that are not the same for all. */
function fieldsOf(sightings: readonly Sighting[]): string[] {
  const [first, ...rest] = sightings as [Sighting, ...Sighting[]];
  if (sightings.some(({ reset }) => reset)) return sightings.every(({ reset }) => reset) ? [] : ['reset'];
  const fields: string[] = [];
  if (rest.some((one) => one.handled.join() !== first.handled.join())) fields.push('handlers');
  if (rest.some(({ result }) => textOf(result) !== textOf(first.result))) fields.push('result');
  for (const number of first.registers.keys())
    if (rest.some(({ registers }) => registers[number] !== first.registers[number])) fields.push(nameOf(number));
  return fields;
}

const nameOf = (number: number) => lapicRegisterName(number << 4) ?? hex(number << 4);
const textOf = (result: Sighting['result']) =>
  result === null ? 'nothing' : result.high === 0 ? hex(result.low) : `${hex(result.high)}:${hex(result.low)}`;

function valueIn({ reset, handled, result, registers }: Sighting, field: string): string {
  if (field === 'reset') return reset ? 'by INIT' : 'no';
  if (field === 'handlers') return handled.length === 0 ? 'none' : handled.map((vector) => hex(vector)).join(' ');
  if (field === 'result') return textOf(result);
  return hex(registers.find((_, number) => nameOf(number) === field)!);
}

function registerOf(operation: OwnOperation): string | null {
  if ('register' in operation) return operation.register;
  if ('msr' in operation) return lapicRegisterName((operation.msr - 0x800) << 4) ?? null;
  return operation.do === 'readCr8' || operation.do === 'writeCr8' ? 'TPR' : null;
}

/** Whom the most do not agree with. */
export function verdictOf(values: ReadonlyMap<OpinionName, string>): string {
  const sides = new Map<string, OpinionName[]>();
  for (const [name, value] of values) sides.set(value, [...(sides.get(value) ?? []), name]);
  const [first, ...rest] = [...sides.values()].sort((a, b) => b.length - a.length) as [
    OpinionName[],
    ...OpinionName[][],
  ];
  const alone = rest.flat();
  if (alone.length === 1 && first.length > 1) return `${alone[0]} stands alone`;
  if (first.length === 1) return `${first.concat(alone).join(', ')}: each another`;
  return [...rest, first].map((side) => side.join(' and ')).join(' against ');
}
