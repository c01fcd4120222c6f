/** What the lab needs of this machine: a program or a file, looked for where distributions put it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from '../../host/programs.ts';
import type { Packages } from './distribution.ts';

/** A thing that the lab needs of this machine. */
export interface LabNeed {
  /** As a person would look for it. */
  readonly name: string;
  /** Looks for it. */
  isThere(): boolean;
  readonly packages: Packages;
}

/** A need of a program, which is called by its name: it has to be in PATH. */
export function program(name: string, packages: Packages): LabNeed {
  return { name, isThere: () => findProgram(name) !== undefined, packages };
}

/** The first of `dirs` that has all these files, as their paths. */
export function filesIn(dirs: readonly string[], names: readonly string[]): string[] | undefined {
  return dirs
    .map((dir) => names.map((name) => join(dir, name)))
    .find((paths) => paths.every((path) => existsSync(path)));
}

/** The needs that this machine lacks. */
export function lackingOf(needs: readonly LabNeed[]): LabNeed[] {
  return needs.filter((need) => !need.isThere());
}
