/** ISO 9660 images, by xorriso. */
import { LabBuildError, LabEmulatorError } from '../errors.ts';
import { spaceError } from '../file-errors.ts';
import { runBound } from '../process.ts';

/** Writes an image of the given files, each as its path in the image and on this machine. `flags` are those of mkisofs. */
export async function makeIso(image: string, grafts: [string, string][], flags: string[] = []): Promise<void> {
  const quoted = (text: string) => text.replace(/[\\=]/g, '\\$&');
  const points = grafts.map(([name, path]) => `${quoted(name)}=${quoted(path)}`);
  const args = ['-as', 'mkisofs', '-quiet', '-R', ...flags, '-o', image, '-graft-points', ...points];
  const done = await runBound('xorriso', args, { env: { ...process.env, LC_ALL: 'C' } }).catch((cause) => {
    throw new LabEmulatorError('xorriso cannot be run', { advice: 'Run `kvm-dsm lab build`: it installs it.', cause });
  });
  if (done.code === 0) return;
  const space = spaceError('xorriso', done.output);
  if (space) throw space;
  throw new LabBuildError(`xorriso ended with ${done.code ?? done.signal}:\n${done.output.trim()}`, {
    advice: 'Mend what the lines above name.',
  });
}
