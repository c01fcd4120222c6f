/** `kvm-dsm review`: a series in, a reply out. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ArgumentError } from '../base/errors.ts';
import { jsonText } from '../base/text.ts';
import { onDisk } from '../lab/file-errors.ts';
import { laneNames } from '../lab/lanes/index.ts';
import { laneOf } from '../target/lanes.ts';
import type { GlobalOptions } from '../target/options.ts';
import { print } from '../target/output.ts';
import { withProgressLine } from '../target/progress-line.ts';
import { InterruptedError, withSignals } from '../target/signals.ts';
import { version } from '../target/version.ts';
import { type Review, verdictOf } from './found.ts';
import { findingsOf } from './report/findings.ts';
import { ktapOf } from './report/ktap.ts';
import { replyOf, sidesOf } from './report/reply.ts';
import { review } from './review.ts';

/** The options that `review` alone takes. */
export interface ReviewCommandOptions {
  base?: string;
  config: string[];
  only: string[];
  destructive: boolean;
  checklist: boolean;
  reporter: 'reply' | 'ktap';
  out?: string;
}

/** Reviews, and writes; the exit code: 0 nothing was found, 1 something is wrong with the series, 3 the suite was cut short, 4 no check ran. */
export async function runReview(
  paths: string[],
  own: ReviewCommandOptions,
  global: GlobalOptions,
  profile: string | null,
): Promise<number> {
  if (global.on === 'host')
    throw new ArgumentError(
      '--on',
      'a review boots kernels, and the host has one already',
      'Leave --on out, or name a lane.',
    );
  if (global.kernel !== undefined)
    throw new ArgumentError(
      '--kernel',
      'a review builds its kernels itself',
      'Leave --kernel out; --base names a tree.',
    );
  const lane = laneOf(global.on);
  const found = await withSignals((signal) =>
    withProgressLine(global.json, (progress) =>
      onDisk(() =>
        review({
          paths,
          base: own.base,
          config: own.config,
          lanes: lane === null ? laneNames : [lane],
          profile,
          patterns: own.only,
          destructive: own.destructive,
          looksOnly: own.checklist,
          global,
          ...progress,
          signal,
        }),
      ),
    ),
  ).catch((error: unknown) => {
    throw error instanceof InterruptedError ? resumable(error) : error;
  });
  if (own.out !== undefined) writeFiles(own.out, found);
  print(global.json ? `${documentOf(found)}\n` : own.reporter === 'ktap' ? ktapOf(found) : replyOf(found, version()));
  return exitCodeOf(found);
}

/** Each stage that has ended is kept, and so are objects. */
function resumable({ signal, during }: InterruptedError): InterruptedError {
  return new InterruptedError(signal, `reviewing (${during})`, 'Run the same command again: it goes on where it was.');
}

/** 0 nothing was found, 1 something is wrong, 3 not every check had its turn, 4 not one check ran. */
export function exitCodeOf(found: Review): number {
  const verdict = verdictOf(found);
  if (verdict === 'not finished') return 3;
  if (verdict !== 'no finding') return 1;
  return !found.looksOnly && found.child.runs.every(({ totals }) => totals.pass + totals.xpass === 0) ? 4 : 0;
}

function documentOf(found: Review): string {
  const sides = Object.fromEntries(
    sidesOf(found).map(([name, { kernel, runs }]) => [name, { kernel, runs: runs.map(({ ktap: _, ...run }) => run) }]),
  );
  const { title, version: tags, patches, notes, base, profile, symbols, apply, build, answers, seconds } = found;
  const head = {
    version: 1,
    verdict: verdictOf(found),
    given: found.given,
    title,
    tags,
    patches,
    notes,
    base,
    profile,
    symbols,
  };
  return jsonText({ ...head, apply, build, findings: findingsOf(found), checklist: answers, ...sides, seconds }, 2);
}

function writeFiles(folder: string, found: Review): void {
  mkdirSync(folder, { recursive: true });
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
  write('reply.txt', replyOf(found, version()));
  write('review.json', `${documentOf(found)}\n`);
  write('review.ktap', ktapOf(found));
  for (const [name, { runs }] of sidesOf(found)) for (const { lane, ktap } of runs) write(`${name}-${lane}.ktap`, ktap);
}
