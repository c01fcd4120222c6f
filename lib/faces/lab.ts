/** `kvm-dsm/lab`: the emulated machines, from outside; and what one of them has for a script that runs in it. */

export { labFunction, lowerIntx, quietIntx, raiseIntx } from '../kvm/vfio/lab-function.ts';
export {
  type BuildOptions,
  buildLab,
  type CachedKernel,
  cleanLab,
  type ImageStatus,
  type LabOptions,
  type LabRunOptions,
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
