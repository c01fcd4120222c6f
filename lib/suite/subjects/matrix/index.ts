import { subject } from '../../check.ts';
import { axisChecks } from './axis-checks.ts';
import { drawnCheck } from './drawn.ts';
import { formAxis } from './tables/forms.ts';
import { guestAxes } from './tables/guest.ts';
import { lapicAxes } from './tables/lapic.ts';
import { modeAxis } from './tables/modes.ts';
import { reservedAxis, sendAxis, vectorAxis } from './tables/sends.ts';
import { sequenceAxis } from './tables/sequences.ts';

export const axes = [modeAxis, sendAxis, vectorAxis, reservedAxis, formAxis, sequenceAxis, ...guestAxes, ...lapicAxes];

export const matrix = subject(
  'matrix',
  'every piece of state that a kernel could look at when a guest writes ICR2 and ICR',
  [
    ...axes.flatMap((axis) => axisChecks(axis)),
    drawnCheck('full', 'on four vCPUs and the full irqchip', 150, axes),
    drawnCheck('split', 'on four vCPUs and the split irqchip', 100, axes, { irqchip: 'split' }),
  ],
);
