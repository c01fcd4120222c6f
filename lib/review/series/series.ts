/** A series of patches, read from a mailbox, mails, patch files or a folder of them. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { SeriesError } from '../errors.ts';
import { type FileDiff, parseDiff } from './diff.ts';
import { isMailbox, type Mail, readMail, splitMailbox } from './mail.ts';

/** One patch of a series. */
export interface Patch {
  /** What a reply calls it: `1/3 KVM: x86: add the ABI`, or its file's name. */
  title: string;
  /** Its subject without what stands in brackets. */
  subject: string;
  from: string;
  /** Message and diff: what `patch` and checkpatch.pl read. */
  text: string;
  files: FileDiff[];
}

/** A series, in the order in which it is to be applied. */
export interface Series {
  /** The cover letter's subject, else the first patch's. */
  title: string;
  /** What stands in the brackets of the subjects beside the number: `RFC v2`. */
  version: string;
  patches: Patch[];
  /** Of what was left out, and why. */
  notes: string[];
  /** It was compared here: nobody has written a mail. */
  isCompared?: boolean;
}

const give = 'Give a mailbox, mails or patches as `git format-patch` makes them, or a folder of those.';

/** Reads a series. Several paths are one series, in that order; a folder's files go by their names. */
export async function readSeries(paths: readonly string[]): Promise<Series> {
  const mails = (await Promise.all(paths.flatMap(filesOf).map(readFile))).flat();
  return seriesOf(mails, paths.join(', '));
}

function filesOf(path: string): string[] {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) throw new SeriesError(`${path} does not exist`, { advice: give });
  if (!stat.isDirectory()) return [path];
  const found = readdirSync(path)
    .filter((name) => /\.(patch|diff|mbox|eml|mail)$/.test(name))
    .sort();
  if (found.length > 0) return found.map((name) => join(path, name));
  throw new SeriesError(`${path} has no file whose name ends with .patch, .diff, .mbox, .eml or .mail`, {
    advice: give,
  });
}

async function readFile(path: string): Promise<Mail[]> {
  const bytes = readFileSync(path);
  const text = bytes.toString('latin1');
  if (isMailbox(text)) return Promise.all(splitMailbox(bytes).map(readMail));
  if (/^[A-Za-z][\w-]*: .*\n/.test(text) && /^Subject: /m.test(text)) return [await readMail(text)];
  return [{ subject: basename(path), from: '', text: bytes.toString('utf8') }];
}

interface Numbered extends Mail {
  tags: Tags;
}

interface Tags {
  number: number | null;
  /** Such as `v2`; empty for a first version. */
  version: string;
  words: string;
  subject: string;
}

/** What `[RFC PATCH v2 1/3] KVM: x86: ...` says. */
export function readSubject(subject: string): Tags {
  const brackets = /^((?:\[[^\]]*\]\s*)*)(.*)$/.exec(subject)!;
  const inside = brackets[1]!;
  const number = /\b0*(\d+)\/\d+\b/.exec(inside);
  const words = inside
    .replace(/[[\]]|\bPATCH\b|\b\d+\/\d+\b/g, ' ')
    .trim()
    .replace(/\s+/g, ' ');
  return {
    number: number ? Number(number[1]) : null,
    version: /\bv\d+\b/i.exec(inside)?.[0].toLowerCase() ?? '',
    words,
    subject: brackets[2]!.trim(),
  };
}

/** What mails make a series: replies are left out, the newest version is taken, the numbers give the order. */
export function seriesOf(mails: readonly Mail[], where: string): Series {
  const notes: string[] = [];
  const numbered: Numbered[] = mails.map((mail) => ({ ...mail, tags: readSubject(mail.subject) }));
  const originals = numbered.filter(({ subject }) => !/^(re|fwd?|aw):/i.test(subject));
  if (originals.length < numbered.length) notes.push(`${numbered.length - originals.length} replies were left out`);
  const withDiff = originals.filter(({ text }) => parseDiff(text).length > 0);
  if (withDiff.length === 0) throw new SeriesError(`there is no patch in ${where}`, { advice: give });
  const newest = withDiff.reduce((best, { tags }) => (rank(tags.version) > rank(best) ? tags.version : best), '');
  // A patch of a first version may carry no number in its brackets at all: `[PATCH 2/3]` beside `[RFC PATCH v2 1/3]`.
  const versions = new Set(
    withDiff.filter(({ tags }) => tags.number === 1 || tags.number === null).map(({ tags }) => tags.version),
  );
  let taken = withDiff;
  if (versions.size > 1) {
    taken = withDiff.filter(({ tags }) => tags.version === newest);
    notes.push(`${withDiff.length - taken.length} patches of other versions than ${newest} were left out`);
  }
  const isNumbered = taken.every(({ tags }) => tags.number !== null);
  if (isNumbered) taken = taken.toSorted((a, b) => a.tags.number! - b.tags.number!);
  const twice = isNumbered && taken.find(({ tags }, i) => i > 0 && taken[i - 1]!.tags.number === tags.number);
  if (twice)
    throw new SeriesError(`${where} has two patches of number ${twice.tags.number}: "${twice.subject}" is the second`, {
      advice: 'Leave one of the two series out.',
    });
  const cover = originals.find(({ tags, text }) => tags.number === 0 && parseDiff(text).length === 0);
  const first = taken[0]!.tags;
  return {
    title: cover?.tags.subject ?? first.subject,
    version: first.words,
    patches: taken.map((mail) => patchOf(mail, taken.length)),
    notes,
  };
}

function rank(version: string): number {
  return Number(version.slice(1) || 1);
}

function patchOf({ tags, from, text }: Numbered, count: number): Patch {
  const title = tags.number === null || count === 1 ? tags.subject : `${tags.number}/${count} ${tags.subject}`;
  const message = `From: ${from}\nSubject: [PATCH] ${tags.subject}\n\n${text}`;
  return { title, subject: tags.subject, from, text: message, files: parseDiff(text) };
}

/** The paths that a series touches, in both trees, sorted. */
export function touchedFiles({ patches }: Series): string[] {
  const paths = patches.flatMap(({ files }) => files.flatMap(({ path, oldPath }) => [path, oldPath ?? path]));
  return [...new Set(paths)].sort();
}

/** The paths that the tree has to have before a series: not those that an earlier patch of it makes. */
export function oldFiles({ patches }: Series): string[] {
  const made = new Set<string>();
  const old = new Set<string>();
  for (const { path, oldPath } of patches.flatMap(({ files }) => files)) {
    if (oldPath === null) made.add(path);
    else if (!made.has(oldPath)) old.add(oldPath);
  }
  return [...old];
}
