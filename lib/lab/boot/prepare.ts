/** What a machine is made of, looked up: kernel, emulator, disk; and a machine started of it. */
import { symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Abort } from '../../base/node-shapes.ts';
import { laneEnvironment } from '../../host/lane.ts';
import { type Medium, prepareMedium } from '../disk/medium.ts';
import { buildKernel } from '../kernel/build.ts';
import { readKernelImage } from '../kernel/bzimage.ts';
import type { SeriesName } from '../kernel/own-series.ts';
import { findEmulator } from '../lanes/find-emulator.ts';
import { type LaneName, laneNamed } from '../lanes/index.ts';
import type { Emulator, JobDisk, Lane } from '../lanes/lane.ts';
import { refuseLacking } from '../needs/install.ts';
import { laneNeeds } from '../needs/machine.ts';
import type { Report } from '../progress.ts';
import { makeWorkFolder } from '../work-folder.ts';
import { EmulatorProcess } from './emulator-process.ts';
import { type Line, openLine } from './lines.ts';
import { fillRunFolder } from './run-folder.ts';

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
  const emulator = findEmulator(lane, wanted.emulator);
  // Whoever lets it install sees it for the first time.
  if (isAskedToInstall())
    report(`booting ${lane.title}: ten seconds or so, and as long again for its disk the first time`);
  const medium = await prepareMedium(report);
  // OpenSSL's configuration is not inside, and looking for it takes time.
  const env = { ...laneEnvironment(lane), OPENSSL_CONF: '/dev/null' };
  return { lane, kernel, isOwnKernel: wanted.kernel === undefined, emulator, medium, env };
}

/**
 * A machine and its folder.
 *
 * @internal
 */
export interface Started {
  machine: EmulatorProcess;
  /** How files get into it while it runs, if it was started for that. */
  jobDisk: JobDisk | null;
  /** By which its state is saved and loaded, if it was started for that. */
  monitor: Line | null;
  /** To be called when it has ended, or is to. */
  remove(): Promise<void>;
}

interface StartOptions {
  serves?: boolean;
  state?: { use: 'save' | 'load'; dir: string } | undefined;
  check?: () => void;
}

/**
 * Starts a machine.
 *
 * @param initramfs what it begins with
 * @param serves it is to run one command after the other
 * @param state the folder of its state, which is to be saved there or loaded from there
 * @param check called just before the emulator is started
 *
 * @internal
 */
export async function startMachine(
  { lane, kernel, emulator, medium }: Parts,
  initramfs: Buffer,
  cmdline: string,
  report: Report,
  { serves = false, state, check = () => {} }: StartOptions = {},
): Promise<Started> {
  const folder = await makeWorkFolder();
  const dir = folder.path;
  const lines: Line[] = [];
  const remove = async () => {
    for (const line of lines) line.close();
    await folder.remove();
  };
  try {
    fillRunFolder(dir, initramfs, medium.path);
    for (const name of ['line1', 'line2', 'line3']) lines.push(await openLine(dir, name, lane.lineKind, report));
    const own = [...lines] as [Line, Line, Line];
    let monitor: Line | null = null;
    if (state) {
      for (const name of lane.state!.files) symlinkSync(join(state.dir, name), join(dir, name));
      monitor = await openLine(dir, 'monitor', lane.lineKind, report);
      lines.push(monitor);
    }
    const given = { dir, kernel, cmdline, serves, state: state?.use };
    const { jobDisk = null, ...invocation } = await lane.layOut(emulator, given, own);
    check();
    const machine = new EmulatorProcess(emulator, invocation, dir, own);
    return { machine, jobDisk, monitor, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}
