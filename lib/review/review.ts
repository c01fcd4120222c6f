/** A review, from patches to what was found out: applied, built, booted, judged. */
import { mkdirSync } from 'node:fs';
import { profileByName, profiles } from '../abi/dsm/profiles.ts';
import { shellWord } from '../base/shell.ts';
import { readConfig } from '../lab/kernel/config.ts';
import { laneNamed } from '../lab/lanes/index.ts';
import { compileNeeds, debianSource, patchNeed, unpackNeeds } from '../lab/needs/building.ts';
import { everywhere } from '../lab/needs/distribution.ts';
import { refuseLacking } from '../lab/needs/install.ts';
import { laneNeeds } from '../lab/needs/machine.ts';
import { type LabNeed, program } from '../lab/needs/need.ts';
import type { Evidence } from './checklist/answer.ts';
import { answerQuestions } from './checklist/questions.ts';
import { answerRules } from './checklist/rules.ts';
import type { Review, ReviewOptions } from './found.ts';
import { type Given, readGiven } from './given.ts';
import { judge, suiteStages } from './judge.ts';
import { buildStages, kernelsOf } from './kernels.ts';
import { Pace } from './pace.ts';
import { checkAgain, commandOn } from './report/again.ts';
import { addedLines } from './series/diff.ts';
import { reviewsDir } from './stages.ts';
import { checkPatterns } from './suite.ts';

/** Reviews a series. What is wrong with it is a result; what is wrong with this machine is an error. */
export async function review(options: ReviewOptions): Promise<Review> {
  const started = performance.now();
  const { looksOnly, config, report, reportEveryMs, signal } = options;
  if (options.profile !== null) profileByName(options.profile);
  await checkPatterns(options.patterns);
  readConfig(config);
  const given = await readGiven(options.paths, options.base);
  refuseLacking(needsOf(given, options));
  mkdirSync(reviewsDir(), { recursive: true });
  using pace = new Pace(stagesOf(given, options), report, reportEveryMs);
  const { series, isAlone } = given;
  const found: Review = {
    given: givenWords(options),
    title: series.title,
    version: series.version,
    patches: series.patches.map(({ title }) => title),
    notes: [...series.notes],
    base: '',
    profile: options.profile ?? '',
    symbols: [],
    looksOnly,
    apply: null,
    build: null,
    parent: isAlone || looksOnly ? null : { kernel: null, runs: [] },
    child: { kernel: null, runs: [] },
    answers: [],
    seconds: 0,
  };
  const looks = await kernelsOf(found, { given, config, looksOnly, pace, signal });
  if (found.child.kernel) await judge(found, options, pace);
  const evidence: Evidence = {
    series,
    added: addedLines(series.patches.flatMap(({ files }) => files)),
    ...looks,
    runs: found.child.runs,
    symbols: found.symbols,
    base: found.base,
    optIn: profiles.get(found.profile)?.optIn !== undefined,
    again: `npx kvm-dsm review ${found.given} --checklist`,
    againOn: (lane, check) => (check ? checkAgain(found, lane, check) : commandOn(found, lane, ['doctor'])),
  };
  if (found.apply === null) found.answers = [...answerRules(evidence), ...answerQuestions(evidence)];
  found.seconds = Math.round((performance.now() - started) / 1000);
  return found;
}

function needsOf({ base }: Given, { lanes, looksOnly }: ReviewOptions): LabNeed[] {
  const git = program('git', everywhere('git'));
  const source = {
    debian: [debianSource, ...unpackNeeds],
    tree: [],
    commit: [git, ...unpackNeeds],
  };
  const booting = looksOnly ? [] : lanes.flatMap((lane) => laneNeeds(laneNamed(lane)));
  return [...new Set([...source[base.kind], patchNeed, ...compileNeeds, ...booting])];
}

function stagesOf({ isAlone }: Given, { lanes, looksOnly }: ReviewOptions): string[] {
  const { source, look, parent, child } = buildStages;
  if (looksOnly) return [source, look];
  const sides = isAlone ? (['child'] as const) : (['child', 'parent'] as const);
  const suites = lanes.flatMap((lane) => sides.map((side) => suiteStages(lane)[side]));
  return [source, look, ...(isAlone ? [] : [parent]), child, ...suites];
}

function givenWords({ paths, base, config }: ReviewOptions): string {
  const options = [...(base === undefined ? [] : ['--base', base]), ...config.flatMap((one) => ['--config', one])];
  return [...paths, ...options].map(shellWord).join(' ');
}
