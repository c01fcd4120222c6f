/** A git tree: its commits since a base are the series, each a mail as `git format-patch` makes it. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../../base/temporary.ts';
import { runBound } from '../../lab/process.ts';
import { SeriesError } from '../errors.ts';
import { readSeries, type Series } from './series.ts';

/** A commit that a series stands on. */
export interface Commit {
  /** The git tree that has it. */
  repository: string;
  id: string;
  /** Names its files, whatever led there. */
  tree: string;
  /** `v6.12`, or `v6.12-3-g0123456`: for a person. */
  name: string;
}

/** More commits than this are no series: the base was guessed wrong. */
const MOST = 200;

/** True if a folder is the top of a git tree. */
export const isGitTree = (path: string): boolean => existsSync(join(path, '.git'));

/**
 * The commit that the series in a git tree stands on: what `given` names; without it what HEAD shares with its upstream
 * branch, else the newest tag behind HEAD. Undefined if nothing was given and git knows neither.
 *
 * @throws SeriesError for a name that git does not know
 */
export async function baseCommit(repository: string, given: string | undefined): Promise<Commit | undefined> {
  await told(repository, ['rev-parse', '--git-dir']);
  const name = given ?? (await guessed(repository));
  if (name === undefined) return undefined;
  const id = await asked(repository, ['rev-parse', '--verify', '--quiet', `${name}^{commit}`]);
  if (id === undefined)
    throw new SeriesError(`--base ${name} is neither a folder nor a commit of ${repository}`, {
      advice: 'Name a commit, a tag or a branch that the tree has, or give a tree.',
    });
  const tree = await told(repository, ['rev-parse', `${id}^{tree}`]);
  const described = await asked(repository, ['describe', '--tags', '--always', id]);
  return { repository, id, tree, name: described ?? id.slice(0, 12) };
}

async function guessed(repository: string): Promise<string | undefined> {
  const shared = await asked(repository, ['merge-base', 'HEAD', '@{upstream}']);
  const head = await asked(repository, ['rev-parse', 'HEAD']);
  if (shared !== undefined && shared !== head) return shared;
  return asked(repository, ['describe', '--tags', '--abbrev=0', 'HEAD']);
}

/** The commits between a base and HEAD. What is not committed is left out, and that is told. */
export async function gitSeries({ repository, id, name }: Commit): Promise<Series> {
  const range = `${id}..HEAD`;
  const count = Number(await told(repository, ['rev-list', '--count', '--no-merges', range]));
  if (count === 0)
    throw new SeriesError(`${repository} has no commit behind ${name}`, {
      advice: 'Name a --base that the series stands on, or commit it.',
    });
  if (count > MOST)
    throw new SeriesError(`${repository} has ${count} commits behind ${name}, which are no series`, {
      advice: 'Name the commit that the series stands on: --base <commit>.',
    });
  const series = await readMails(repository, range);
  const merges = Number(await told(repository, ['rev-list', '--count', '--merges', range]));
  const changed = (await told(repository, ['status', '--porcelain', '--untracked-files=no'])).split('\n');
  const open = changed.filter(Boolean).length;
  return {
    ...series,
    notes: [
      ...series.notes,
      `the ${count === 1 ? 'commit' : `${count} commits`} behind ${name} in ${repository}`,
      ...(merges > 0 ? [`${merges} merges were left out`] : []),
      ...(open > 0 ? [`${open} files with changes that are not committed were left as they are in HEAD`] : []),
    ],
  };
}

/** What the user's own settings of git would change is said. */
const format = [
  ...['--no-cover-letter', '--no-attach', '--no-renames', '--no-ext-diff', '--no-color', '--no-thread'],
  ...['--subject-prefix=PATCH', '--numbered', '--src-prefix=a/', '--dst-prefix=b/'],
];

async function readMails(repository: string, range: string): Promise<Series> {
  const folder = temporaryFolder();
  try {
    await told(repository, ['format-patch', ...format, '-o', folder, range]);
    return await readSeries([folder]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Puts the files of a commit into a folder. */
export async function unpackCommit({ repository, id }: Commit, into: string, abort?: AbortSignal): Promise<void> {
  const words = 'set -e; git -C "$1" archive --format=tar "$2" | tar -x -C "$3"';
  const { code, output } = await runBound('sh', ['-c', words, 'sh', repository, id, into], { abort });
  if (code !== 0 && !abort?.aborted) throw failed(repository, output);
}

/** What git answers, without the line's end; undefined if it does not know. */
async function asked(repository: string, args: readonly string[]): Promise<string | undefined> {
  const { code, text } = await git(repository, args);
  return code === 0 ? text.trim() : undefined;
}

async function told(repository: string, args: readonly string[]): Promise<string> {
  const { code, text } = await git(repository, args);
  if (code !== 0) throw failed(repository, text);
  return text.trim();
}

const failed = (repository: string, said: string) =>
  new SeriesError(`git cannot read ${repository}: ${said.trim().split('\n')[0]}`, {
    advice: 'Look at the tree with `git status`.',
  });

async function git(repository: string, args: readonly string[]): Promise<{ code: number | null; text: string }> {
  const { code, output } = await runBound('git', ['-C', repository, ...args], { env: { ...process.env, LC_ALL: 'C' } });
  return { code, text: output };
}
