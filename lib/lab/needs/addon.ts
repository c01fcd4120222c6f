/** What building this package's addon in a checkout needs. */
import { everywhere } from './distribution.ts';
import { type LabNeed, program } from './need.ts';

export const addonNeeds: readonly LabNeed[] = [
  program('cmake', everywhere('cmake')),
  program('make', everywhere('make')),
  program('c++', everywhere('gcc-c++', { debian: ['g++'], alpine: ['g++'], arch: ['gcc'] })),
];
