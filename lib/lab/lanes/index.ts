/** The lanes that there are. A new one is a file beside this one and its name here. */
import type { Lane } from './lane.ts';
import { svmQemu } from './svm-qemu.ts';
import { vmxBochs } from './vmx-bochs.ts';

/** What `--on` takes for a lane: `vmx` is an Intel machine that Bochs emulates, `svm` an AMD machine that QEMU does. */
export type LaneName = 'vmx' | 'svm';

const known = [vmxBochs, svmQemu] as const satisfies readonly { readonly name: LaneName }[];

/** In the order in which they are told. */
export const lanes: readonly Lane[] = known;

/** Their names. */
export const laneNames: readonly LaneName[] = known.map(({ name }) => name);

/** The lane that is taken where none is named: that of the CPUs that the series is written for. */
export const autoLane: LaneName = vmxBochs.name;

/** The lane of a name. */
export function laneNamed(name: LaneName): Lane {
  return known.find((lane) => lane.name === name)!;
}
