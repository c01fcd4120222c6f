/** The emulated machines that boot a patched kernel: what the rest of the package calls. */
export { type BareName, runBare } from './bare/run.ts';
export type { Limits } from './boot/limits.ts';
export type { LabOptions, LabRunOptions, LabStage } from './boot/options.ts';
export { labShell, runInLab } from './boot/run.ts';
export { cleanLab } from './clean.ts';
export { mainInside, nodeInside, packageInside } from './disk/init.ts';
export * from './errors.ts';
export { type CommandInside, commandInside } from './host-files.ts';
export { type BuildOptions, buildKernel as buildLab } from './kernel/build.ts';
export type { CachedKernel } from './kernel/cache.ts';
export { type Flavour, flavourNames } from './kernel/flavours.ts';
export { type SeriesName, seriesNames, seriesOfProfile } from './kernel/own-series.ts';
export { type LaneName, laneNamed } from './lanes/index.ts';
export { type ImageStatus, type LabStatus, labStatus } from './status.ts';
export { describeLabStatus, describeWarm } from './status-text.ts';
export { describeTimings, type Phase, Timings, type TimingsReport } from './timings.ts';
export type { WarmStatus } from './warm/protocol.ts';
export { DEFAULT_IDLE_MINUTES, lowerMachines, raiseMachine } from './warm/raise.ts';
