export { cleanLab } from './clean.ts';
export type { Lane } from './emulator.ts';
export * from './errors.ts';
export { mainInside, nodeInside, packageInside } from './init.ts';
export { type BuildOptions, buildKernel as buildLab } from './kernel-build.ts';
export type { CachedKernel } from './kernel-cache.ts';
export type { Limits } from './limits.ts';
export { type LabOptions, type LabRunOptions, labShell, runInLab } from './run.ts';
export { type LabStatus, labStatus } from './status.ts';
