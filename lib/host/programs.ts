/** Where programs are looked for by their names: in PATH, but never in the current folder. */
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';

const usual = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** PATH without what depends on the current folder: an empty or relative element would run whatever somebody put there. */
export function programFolders(path = process.env.PATH): string[] {
  const folders = (path ?? '').split(delimiter).filter((folder) => isAbsolute(folder));
  return folders.length > 0 ? folders : usual;
}

/** An environment whose PATH is such: for a process that starts others by their names. */
export function programEnvironment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return { ...env, PATH: programFolders(env.PATH).join(delimiter) };
}

/** The path of the program of that name, as exec() would find it: a file that may be run. */
export function findProgram(name: string, folders = programFolders()): string | undefined {
  return folders.map((folder) => join(folder, name)).find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
