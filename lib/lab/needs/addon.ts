/** What building this package's addon in a checkout needs. */
import { everywhere } from './distribution.ts';
import { type LabNeed, program } from './need.ts';

export const addonNeeds: readonly LabNeed[] = [
  program('cmake', everywhere('cmake')),
  program('make', everywhere('make')),
  program('c++', {
    debian: ['g++'],
    fedora: ['gcc-c++'],
    rhel: ['gcc-c++'],
    arch: ['gcc'],
    alpine: ['g++'],
    suse: ['gcc-c++'],
  }),
];
