import type { LabStatus } from './status.ts';

/** What `lab status` says to a person. */
export function describeLabStatus(status: LabStatus): string {
  const { image, packages, lanes } = status;
  const mib = (bytes: number) => `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
  const kernel = image.kernel ? ` ${image.kernel.release}, ${mib(image.kernel.bytes)}, ${image.kernel.kernel}` : '';
  const lines = [
    `cache     ${status.cacheDir} (${mib(status.diskBytes)})${status.building ? ', a build is going on' : ''}`,
    `image     ${image.state}${kernel}`,
    ...(image.state === 'present' ? [] : ['          build it: kvm-dsm lab build']),
    ...status.treeKernels.map((tree) => `tree      ${tree.source}: ${tree.kernel}`),
    `packages  ${packages.missing.length > 0 ? `missing: ${packages.missing.join(' ')}` : 'complete'}`,
    ...Object.entries(lanes).map(([name, lane]) => {
      const emulator = lane.emulator ? ` (${lane.emulator.kind} ${lane.emulator.version}, ${lane.emulator.path})` : '';
      return `${name.padEnd(9)} ${lane.usable ? 'usable' : `not usable: ${lane.reasons.join('; ')}`}${emulator}`;
    }),
  ];
  return `${lines.join('\n')}\n`;
}
