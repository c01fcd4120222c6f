/** The kernel that counts, and the folder for what it counts. */
import { ArgumentError } from '../../base/errors.ts';
import { laneReport } from '../../target/in-lane.ts';
import { ON_LANES } from '../../target/lanes.ts';
import type { GlobalOptions } from '../../target/options.ts';
import { showsProgress, withProgress } from '../../target/progress.ts';
import { withSignals } from '../../target/signals.ts';
import type { Target } from '../../target/target.ts';
import { CoverageFolder } from './folder.ts';

/** Where what the checks reach is kept, and the kernel that they run on. */
export interface OpenCoverage {
  kernel: string;
  folder: CoverageFolder;
}

/** @throws ArgumentError on a host; what a build throws; what CoverageFolder does */
export async function openCoverage(folder: string, target: Target, options: GlobalOptions): Promise<OpenCoverage> {
  if (target === 'host')
    throw new ArgumentError('--coverage', '--coverage is for the lab, not for the host', `Add ${ON_LANES}.`);
  const kernel = options.kernel ?? (await countingKernel(options));
  return { kernel, folder: new CoverageFolder(folder, kernel, target) };
}

/** Built where there is none yet. */
async function countingKernel({ profile, json }: GlobalOptions): Promise<string> {
  const { buildLab, seriesOfProfile } = await import('../../lab/index.ts');
  const shown = { json, quiet: false };
  const build = (signal: AbortSignal) =>
    buildLab({
      flavour: 'gcov',
      series: seriesOfProfile(profile),
      install: true,
      report: (line, stage) => laneReport(line, stage, showsProgress(shown)),
      signal,
    });
  return (await withSignals((signal) => withProgress(shown, () => build(signal)))).kernel;
}
