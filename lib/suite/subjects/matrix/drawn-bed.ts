/** VMs that the seed puts together of what the table of VMs has one by one. */
import type { Random } from '../../../script/random.ts';
import type { CheckContext } from '../../kit/context.ts';
import type { BedOptions } from './bed.ts';
import { type MachineRow, machineRows } from './tables/machines.ts';

export interface DrawnBed {
  /** Names of rows of the table. */
  traits: readonly string[];
  options: BedOptions;
}

/** How many pairs a vCPU has written that is worn, where there are many VMs. */
const WORN = 132;
/** Where a past takes as long as some scenes, one VM in so many has it. */
const WITH_PAST = 3;

/** Of a kind of which a VM has one at most, as likely as none is each of the rows. */
function one(random: Random, kind: MachineRow['trait']): MachineRow[] {
  const row = random.pick([null, ...machineRows.filter(({ trait }) => trait === kind)]);
  return row ? [row] : [];
}

function past(random: Random): MachineRow[] {
  if (random.integer(1, WITH_PAST) > 1) return [];
  const row = random.pick(machineRows.filter(({ trait }) => trait === 'past'));
  return [row.options.worn ? { ...row, options: { ...row.options, worn: WORN } } : row];
}

/** A VM of this irqchip, with half of what a VM can have beside. */
export function drawBed(random: Random, base: BedOptions): DrawnBed {
  const any = machineRows.filter(({ trait }) => trait === 'any' && random.integer(0, 1) === 1);
  const rows = [...one(random, 'ids'), ...one(random, 'cpuid'), ...past(random), ...any];
  const fitting = rows.filter(({ name }) => !unfit(name, base, rows));
  return {
    traits: fitting.map(({ name }) => name),
    options: together([base, ...fitting.map(({ options }) => options)]),
  };
}

/** The PIT belongs to the full irqchip; and the boot processor of the table is one of four vCPUs. */
function unfit(name: string, { irqchip }: BedOptions, rows: readonly MachineRow[]): boolean {
  if (name === 'pit') return irqchip === 'split';
  return name === 'boot-processor' && rows.some(({ options }) => options.ids && !options.ids.includes(2));
}

/** All that they do, one after the other. */
function together(all: readonly BedOptions[]): BedOptions {
  const each = <K extends 'vm' | 'made' | 'vcpu'>(key: K) => all.flatMap((options) => options[key] ?? []);
  return {
    ...Object.assign({}, ...all),
    vm: (vm) => each('vm').forEach((act) => void act(vm)),
    made: (ctx: CheckContext, vm) => each('made').forEach((act) => void act(ctx, vm)),
    vcpu: (vcpu) => each('vcpu').forEach((act) => void act(vcpu)),
  };
}
