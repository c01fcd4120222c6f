/** `kvm-dsm/lab`: the emulated machines, from outside; and what one of them has for a script that runs in it. */

export type { Abort, InputStream, OutputStream } from '../base/node-shapes.ts';
export { labFunction, lowerIntx, quietIntx, raiseIntx } from '../kvm/vfio/lab-function.ts';
export type { InsideFile } from '../lab/disk/inside-file.ts';
export {
  type BuildOptions,
  buildLab,
  type CachedKernel,
  cleanLab,
  type Flavour,
  type ImageStatus,
  type LabOptions,
  type LabRunOptions,
  type LabStage,
  type LabStatus,
  type LaneName,
  type Limits,
  labShell,
  labStatus,
  runInLab,
  type SeriesName,
  Timings,
  type TimingsReport,
} from '../lab/index.ts';
export type { Report } from '../lab/progress.ts';
export type { LaneStatus } from '../lab/status.ts';
export type { WarmStatus } from '../lab/warm/protocol.ts';
