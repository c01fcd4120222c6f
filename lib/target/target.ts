/** Where a command runs: this host, or a lane of the lab. */
import { release } from 'node:os';
import { ArgumentError } from '../base/errors.ts';
import { laneHere } from '../host/lane.ts';
import { Kvm } from '../kvm/kvm.ts';
import { autoLane, type LaneName } from '../lab/lanes/index.ts';
import { forwardsIcrWrites } from '../probe/icr-write.ts';
import { ON_LANES } from './lanes.ts';
import type { GlobalOptions } from './options.ts';
import { profileFor } from './profile.ts';
import { checkProfileName } from './profile-name.ts';

/** What a command runs on: this host, or a lane of the lab. */
export type Target = 'host' | LaneName;

/** The target that this process is on, and its kernel. */
export const currentTarget = { on: laneHere?.name ?? 'host', kernel: release() };

/** Decides what a command runs on. `auto`: on this host if its kernel forwards ICR writes, else in the lab. */
export function chooseTarget(options: GlobalOptions): Target {
  if (options.on === 'host') refuseLabOptions(options);
  if (options.on !== 'auto') return options.on;
  if (laneHere) return 'host';
  return !labOption(options) && hostForwards(options) ? 'host' : autoLane;
}

/** The lane for a command that looks at this host, unless one of the lab's options asks for a lane; `null`: this host. */
export function laneMeant(options: GlobalOptions): LaneName | null {
  if (options.on === 'auto' && !laneHere && labOption(options)) return autoLane;
  refuseLabOptions(options);
  return null;
}

/** For a command that looks at this host. */
export function refuseLabOptions(options: GlobalOptions): void {
  const forLab = labOption(options);
  if (forLab)
    throw new ArgumentError(`--${forLab}`, `--${forLab} is for the lab, not for the host`, `Add ${ON_LANES}.`);
}

/** `--timings` tells of the lab's phases. */
export const timingsOnHost = () =>
  new ArgumentError('--timings', '--timings is for the lab, not for the host', `Add ${ON_LANES}.`);

/** One that says how the lab is to boot. */
function labOption(options: GlobalOptions): string | undefined {
  return (['kernel', 'cmdline', 'emulator'] as const).find((name) => options[name] !== undefined);
}

function hostForwards({ device, profile }: GlobalOptions): boolean {
  checkProfileName(profile);
  try {
    const numbers = profileFor({ device, profile }, () => {});
    using kvm = Kvm.open(device, { profile: numbers });
    return forwardsIcrWrites(kvm);
  } catch {
    // Why it cannot is the doctor's subject; here it means: not on this host.
    return false;
  }
}

/** The target that this process is on, for a person. */
export function describeTarget(): string {
  return `${laneHere?.title ?? 'this host'}, Linux ${currentTarget.kernel}`;
}
