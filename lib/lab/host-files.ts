/** A program of this host, and files that its command line names, as they go into a machine of the lab. */
import { readFileSync, statSync } from 'node:fs';
import { isAbsolute, join, normalize, resolve } from 'node:path';
import { ArgumentError } from '../base/errors.ts';
import type { InsideFile } from './disk/inside-file.ts';
import { staticProgram } from './static-program.ts';

/** Inside, the folder that stands for the one in which the command was typed, and the one that stands for /. */
const HERE = '/run/kvm-dsm/exec/here';
const ROOT = '/run/kvm-dsm/exec/root';

/** Absolute paths of the machine's own, whatever this host has there. */
const INSIDE = /^\/(?:bin|dev|lab|media|proc|run|sys)(?:\/|$)/;

/** Beside their program; more does not fit into a machine that is up. In bytes. */
const MOST = 32 << 20;

/** A command line as it runs inside. */
export interface CommandInside {
  words: readonly string[];
  files: readonly InsideFile[];
  /** Its working folder; `null`: it brings nothing, and any will do. */
  folder: string | null;
}

/**
 * What a command line brings: the program if it is a path of this host, and each argument that is the path of a file here. A program
 * without a slash is the machine's own.
 *
 * @throws ArgumentError for a program that is not there, or cannot run inside; and for more than 32 MiB of files
 */
export function commandInside(words: readonly string[], folder = process.cwd()): CommandInside {
  const [program = '', ...rest] = words;
  const files = new Map<string, InsideFile>();
  const brought = (word: string, executable: boolean): string => {
    const place = placeOf(word, folder);
    files.set(place, { path: place, data: readFileSync(resolve(folder, word)), executable });
    return isAbsolute(word) || place.startsWith(ROOT) ? place : word;
  };
  const isOurs = program.includes('/') && !INSIDE.test(program);
  if (isOurs) {
    if (!isFile(program, folder))
      throw new ArgumentError(
        'command',
        `there is no file ${program} here`,
        'Give the path of a program, or the name of one of busybox.',
      );
    const why = staticProgram(readFileSync(resolve(folder, program)));
    if (why !== null) throw new ArgumentError('command', `${program} cannot run in the lab: ${why.reason}`, why.advice);
  }
  const told = [
    isOurs ? brought(program, true) : program,
    ...rest.map((word) =>
      !INSIDE.test(word) && isFile(word, folder) ? brought(word, isExecutable(word, folder)) : word,
    ),
  ];
  const bytes = [...files.values()].reduce((sum, { data }) => sum + data.length, 0);
  if (bytes > MOST)
    throw new ArgumentError(
      'command',
      `the files of this command have ${bytes} bytes, and ${MOST} at most go into the lab`,
      'Name fewer or smaller files, or strip the program.',
    );
  return { words: told, files: [...files.values()], folder: files.size === 0 ? null : HERE };
}

/** Below the folder it keeps its name, so that the program finds it by the same words. */
function placeOf(word: string, folder: string): string {
  const relative = normalize(word);
  return isAbsolute(word) || relative.startsWith('..') ? join(ROOT, resolve(folder, word)) : join(HERE, relative);
}

function isFile(word: string, folder: string): boolean {
  return word !== '' && (statSync(resolve(folder, word), { throwIfNoEntry: false })?.isFile() ?? false);
}

const isExecutable = (word: string, folder: string) => (statSync(resolve(folder, word)).mode & 0o111) !== 0;
