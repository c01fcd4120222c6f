import { defaultSeries } from './kernel/own-series.ts';
import type { LabStatus } from './status.ts';
import type { WarmStatus } from './warm/protocol.ts';

/** What `lab status` says to a person. */
export function describeLabStatus(status: LabStatus): string {
  const { packages, lanes, warm } = status;
  const mib = (bytes: number) => `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
  const images = Object.entries(status.series).flatMap(([series, image]) => {
    const { state, ready, kernel } = image;
    const which = kernel ? ` ${kernel.release}, ${mib(kernel.bytes)}, ${kernel.kernel}` : '';
    const option = series === defaultSeries ? '' : ` --series ${series}`;
    return [
      `image     ${series}: ${ready ? 'ready kernel from the package:' : state}${which}`,
      ...(state === 'present' ? [] : [`          build it: kvm-dsm lab build${option}`]),
    ];
  });
  const unused = status.ready.state === 'other' || status.ready.state === 'damaged';
  const needsBuild = Object.values(status.series).some(({ state }) => state !== 'present');
  const lines = [
    `cache     ${status.cacheDir} (${mib(status.diskBytes)})${status.building ? ', a build is going on' : ''}`,
    ...images,
    ...status.treeKernels.map((tree) => `tree      ${tree.source}: ${tree.kernel}`),
    ...(unused ? [`ready     not used: ${status.ready.reason}`] : []),
    `packages  ${packages.missing.length > 0 ? `missing: ${packages.missing.join(' ')}` : 'complete'}`,
    ...(packages.missing.length > 0 && packages.command ? [`          install them: ${packages.command}`] : []),
    ...(needsBuild && packages.building.length > 0
      ? [`          to build a kernel, these as well: ${packages.building.join(' ')}`]
      : []),
    ...Object.entries(lanes).map(([name, lane]) => {
      const emulator = lane.emulator ? ` (${lane.emulator.kind} ${lane.emulator.version}, ${lane.emulator.path})` : '';
      return `${name.padEnd(9)} ${lane.usable ? 'usable' : `not usable: ${lane.reasons.join('; ')}`}${emulator}`;
    }),
    ...Object.entries(warm).flatMap(([name, up]) => (up ? [describeWarm(name, up)] : [])),
  ];
  return `${lines.join('\n')}\n`;
}

/** A machine that is up, in one line. */
export function describeWarm(lane: string, { state, commands, boots, booted, pid, idleMinutes }: WarmStatus): string {
  const ran = `${commands} ${commands === 1 ? 'command' : 'commands'}, ${boots} ${boots === 1 ? 'boot' : 'boots'}`;
  return `warm      ${lane}: ${state}, up since ${booted} (${ran}), process ${pid}, ends after ${idleMinutes} idle minutes`;
}
