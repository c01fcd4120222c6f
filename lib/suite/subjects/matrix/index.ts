import { subject } from '../../check.ts';
import { axisChecks } from './axis-checks.ts';
import { drawnCheck, machineCheck } from './drawn.ts';
import { formAxis } from './tables/forms.ts';
import { guestAxes } from './tables/guest.ts';
import { historyAxis, hostAxis, timeAxis, waitAxis } from './tables/history.ts';
import { lapicAxes } from './tables/lapic.ts';
import { machineRows } from './tables/machines.ts';
import { modeAxis } from './tables/modes.ts';
import { baseAxis, placeAxis, targetAxis } from './tables/others.ts';
import { paravirtAxis } from './tables/paravirt.ts';
import { reservedAxis, sendAxis, vectorAxis } from './tables/sends.ts';
import { jointAxis, sequenceAxis } from './tables/sequences.ts';

export const axes = [
  placeAxis,
  modeAxis,
  baseAxis,
  targetAxis,
  sendAxis,
  vectorAxis,
  reservedAxis,
  formAxis,
  sequenceAxis,
  jointAxis,
  ...guestAxes,
  ...lapicAxes,
  historyAxis,
  hostAxis,
  waitAxis,
  timeAxis,
  paravirtAxis,
];

export const matrix = subject(
  'matrix',
  'every piece of state that a kernel could look at when a guest writes ICR2 and ICR',
  [
    ...axes.flatMap((axis) => axisChecks(axis)),
    ...machineRows.map((row) => machineCheck(row, axes)),
    drawnCheck('full', 'in VMs with the full irqchip', 6, axes),
    drawnCheck('split', 'in VMs with the split irqchip', 4, axes, { irqchip: 'split' }),
  ],
);

/** State that no row has, and why. */
export const leftOut: readonly string[] = [
  'Bits 3:0 of TPR where no vector waits: KVM-AMD keeps CR8 alone then, on a stock kernel as well.',
  'An exception on its way into the guest (KVM_SET_VCPU_EVENTS): VMX refuses the entry, and QEMU returns elsewhere from it.',
  'mp_state of the vCPU that writes: one that executes is runnable.',
  'FPU, vector registers, PMU, MTRR, MCE banks, the number of the physical CPU: nothing from the hook to the exit looks at them.',
  'Nested guests (`modes.nested.forwarded`), x2APIC mode, a disabled local APIC: other subjects say what a write does there.',
];
