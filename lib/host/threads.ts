/** Where the threads of a process are. */
import { readdirSync, readFileSync } from 'node:fs';

/**
 * Where the threads of a process are, a line each: the thread's name, its state, and what of the kernel it is in: the
 * stack if the kernel tells it (root, CONFIG_STACKTRACE), else the function that it sleeps in. Empty if it is gone.
 * Source: Documentation/filesystems/proc.rst.
 */
export function threadsOf(pid: number): string[] {
  const dir = `/proc/${pid}/task`;
  let ids: string[];
  try {
    ids = readdirSync(dir);
  } catch {
    return [];
  }
  return ids.map((id) => {
    const name = read(`${dir}/${id}/comm`);
    const state = /^State:\t(.*)$/m.exec(read(`${dir}/${id}/status`))?.[1] ?? 'gone';
    const frames = [...read(`${dir}/${id}/stack`).matchAll(/^\[<0>\] (.*)$/gm)].map(([, frame]) => frame);
    const sleeps = read(`${dir}/${id}/wchan`);
    const where = frames.length > 0 ? frames.join(' < ') : sleeps === '0' ? '' : sleeps;
    return `thread ${id} (${name}), ${state}${where === '' ? '' : `: ${where}`}`;
  });
}

/** What the file holds; nothing if it may not be read, or is gone. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').trimEnd();
  } catch {
    return '';
  }
}
