/** Drawn faults as the kernel's parameter takes them, and in words. */
import { ArgumentError } from '../../../base/errors.ts';
import { type Action, actions } from './actions.ts';
import { describeCondition, type Op, ops, type Site, type StateField, sites } from './field.ts';
import { fields } from './fields.ts';

/** A fault that is made of a site, a condition and an action. */
export interface DrawnFault {
  site: Site;
  field: StateField;
  op: Op;
  value: number;
  action: Action;
  /** `null`: the action takes none. */
  param: number | null;
}

/** `icr:tpr.ge.0x20:lose`, `icr2:writes.mod.7:flip-val2=24`. */
export function writeSpec({ site, field, op, value, action, param }: DrawnFault): string {
  const shown = value > 9 && op !== 'mod' ? `0x${value.toString(16)}` : String(value);
  return `${site}:${field.name}.${op}.${shown}:${action.name}${param === null ? '' : `=${param}`}`;
}

const SPEC = /^([a-z0-9-]+):([a-z0-9-]+)\.([a-z]+)\.(0x[0-9a-f]+|\d+):([a-z0-9-]+)(?:=(\d+))?$/;

/** Whether this is meant as such a fault, rather than as the name of one. */
export const isSpec = (text: string) => text.includes(':');

/** @throws ArgumentError */
export function readSpec(text: string): DrawnFault {
  const [, site, fieldName, op, value, actionName, param] = SPEC.exec(text) ?? [];
  const field = fields.find(({ name, sites: where }) => name === fieldName && where.includes(site as Site));
  const action = actions.find(({ name, sites: where }) => name === actionName && where.includes(site as Site));
  const sound = sites.includes(site as Site) && ops.includes(op as Op) && field && action;
  if (!sound || (param === undefined) !== (action.values.length === 0))
    throw new ArgumentError(
      'fault',
      `'${text}' is no fault that can be drawn`,
      'Give site:field.operator.number:action=parameter, as in docs/mutants.md.',
    );
  return {
    site: site as Site,
    field,
    op: op as Op,
    value: Number(value),
    action,
    param: param === undefined ? null : Number(param),
  };
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
export function describe({ site, field, op, value, action, param }: DrawnFault): string {
  const does = action.what.replace('#', action.words?.[param!] ?? String(param));
  return `${places[site]} ${does} ${describeCondition(field, op, value)}`;
}
