/** What a machine is made of, looked up: kernel, emulator, disk. */
import { resolve } from 'node:path';
import type { Abort } from '../../base/node-shapes.ts';
import { laneEnvironment } from '../../host/lane.ts';
import { type Medium, prepareMedium } from '../disk/medium.ts';
import { LabInterruptedError } from '../errors.ts';
import { buildKernel } from '../kernel/build.ts';
import { readKernelImage } from '../kernel/bzimage.ts';
import type { SeriesName } from '../kernel/own-series.ts';
import { findEmulator } from '../lanes/find-emulator.ts';
import { type LaneName, laneNamed } from '../lanes/index.ts';
import type { Emulator, Lane } from '../lanes/lane.ts';
import { refuseLacking } from '../needs/install.ts';
import { laneNeeds } from '../needs/machine.ts';
import type { Report } from '../progress.ts';

/** What a machine is asked for with. */
export interface Wanted {
  lane: LaneName;
  kernel?: string | undefined;
  series?: SeriesName | undefined;
  cmdline?: string | undefined;
  emulator?: string | undefined;
  report?: Report | undefined;
  signal?: Abort | undefined;
}

export interface Parts {
  lane: Lane;
  /** The bzImage. */
  kernel: string;
  /** The lab's own, built or ready: not one that the caller gave. */
  isOwnKernel: boolean;
  emulator: Emulator;
  medium: Medium;
  /** Of every process inside. */
  env: Record<string, string>;
}

/** A run installs nothing by itself: `npm start` asks for it. */
const isAskedToInstall = () => process.env.KVM_DSM_LAB_INSTALL === '1';

/** Looks the parts up; what is missing is made. What is wrong with the arguments is told before anything is built. */
export async function prepare(wanted: Wanted): Promise<Parts> {
  const report = wanted.report ?? (() => {});
  const lane = laneNamed(wanted.lane);
  if (wanted.kernel !== undefined) {
    readKernelImage(resolve(wanted.kernel));
    refuseLacking(laneNeeds(lane, wanted.emulator));
  }
  const { kernel } =
    wanted.kernel === undefined
      ? await buildKernel({
          report,
          signal: wanted.signal,
          lane: wanted.lane,
          emulator: wanted.emulator,
          series: wanted.series,
          install: isAskedToInstall(),
        })
      : { kernel: resolve(wanted.kernel) };
  refuseInterrupted(wanted);
  const emulator = findEmulator(lane, wanted.emulator);
  // Whoever lets it install sees it for the first time.
  if (isAskedToInstall())
    report(`booting ${lane.title}: ten seconds or so, and as long again for its disk the first time`);
  const medium = await prepareMedium(report);
  refuseInterrupted(wanted);
  // OpenSSL's configuration is not inside, and looking for it takes time.
  const env = { ...laneEnvironment(lane), OPENSSL_CONF: '/dev/null' };
  return { lane, kernel, isOwnKernel: wanted.kernel === undefined, emulator, medium, env };
}

function refuseInterrupted({ signal }: Wanted): void {
  if (signal?.aborted)
    throw new LabInterruptedError('interrupted before there was a machine', { advice: 'Run it again.' });
}
