/** Drawn faults as the kernel's parameter takes them, and in words. */
import { ArgumentError } from '../../../base/errors.ts';
import { type Action, actions } from './actions.ts';
import { describeCondition, type Op, ops, type Site, type StateField, sites } from './field.ts';
import { fields } from './fields.ts';

/** One thing that has to be so. */
export interface FaultCondition {
  field: StateField;
  op: Op;
  value: number;
}

/** A fault that is made of a site, one condition or two, and an action. */
export interface DrawnFault {
  site: Site;
  /** All of them have to hold. */
  conditions: readonly FaultCondition[];
  action: Action;
  /** `null`: the action takes none. */
  param: number | null;
}

/** As many as the kernel's parameter takes. */
export const MOST_CONDITIONS = 2;

/** `tpr.ge.0x20` */
export function writeCondition({ field, op, value }: FaultCondition): string {
  const shown = value > 9 && op !== 'mod' ? `0x${value.toString(16)}` : String(value);
  return `${field.name}.${op}.${shown}`;
}

/** `icr:tpr.ge.0x20:lose`, `icr2:writes.mod.7&smm.eq.1:flip-val2=24`. */
export function writeSpec({ site, conditions, action, param }: DrawnFault): string {
  return `${site}:${conditions.map(writeCondition).join('&')}:${action.name}${param === null ? '' : `=${param}`}`;
}

const SPEC = /^([a-z0-9-]+):([^:]+):([a-z0-9-]+)(?:=(\d+))?$/;
const CONDITION = /^([a-z0-9-]+)\.([a-z]+)\.(0x[0-9a-f]+|\d+)$/;

/** Whether this is meant as such a fault, rather than as the name of one. */
export const isSpec = (text: string) => text.includes(':');

function readCondition(text: string, site: Site): FaultCondition | null {
  const [, name, op, value] = CONDITION.exec(text) ?? [];
  const field = fields.find((one) => one.name === name && one.sites.includes(site));
  return field && ops.includes(op as Op) ? { field, op: op as Op, value: Number(value) } : null;
}

/** @throws ArgumentError */
export function readSpec(text: string): DrawnFault {
  const [, where, conditionTexts = '', actionName, param] = SPEC.exec(text) ?? [];
  const site = where as Site;
  const conditions = conditionTexts.split('&').flatMap((one) => readCondition(one, site) ?? []);
  const count = conditionTexts.split('&').length;
  const action = actions.find(({ name, sites: own }) => name === actionName && own.includes(site));
  const sound = sites.includes(site) && conditions.length === count && count <= MOST_CONDITIONS && action;
  if (!sound || (param === undefined) !== (action.values.length === 0))
    throw new ArgumentError(
      'fault',
      `'${text}' is no fault that can be drawn`,
      'Give site:field.operator.number:action=parameter, as in docs/mutants.md.',
    );
  return { site, conditions, action, param: param === undefined ? null : Number(param) };
}

const places: Readonly<Record<Site, string>> = {
  icr: 'an ICR write',
  icr2: 'an ICR2 write',
  other: 'a write of another register',
  'ipi-icr': 'KVM_DSM_IPI with ICR',
  'ipi-icr2': 'KVM_DSM_IPI with ICR2',
  x2apic: 'KVM_DSM_X2APIC',
  base: 'KVM_DSM_APIC_BASE',
};

/** One sentence, without its full stop. */
export function describe({ site, conditions, action, param }: DrawnFault): string {
  const does = action.what.replace('#', action.words?.[param!] ?? String(param));
  const when = conditions.map(({ field, op, value }) => describeCondition(field, op, value));
  return `${places[site]} ${does} ${when.join(' and ')}`;
}
