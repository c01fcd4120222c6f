/** What a check and a subject are. */
import { profiles } from '../abi/dsm/profiles.ts';
import { checkList, checkText } from '../base/check.ts';
import { type Duration, milliseconds } from '../base/duration.ts';
import { ArgumentError } from '../base/errors.ts';
import {
  boolean,
  duration,
  func,
  instance,
  listOf,
  oneOf,
  optional,
  shape,
  text,
  type ValueCheck,
} from '../base/shape.ts';
import type { CheckContext } from './kit/context.ts';
import type { Need } from './kit/needs.ts';

/** Why a check is known to fail on a kernel of some profiles. */
export interface Shortfall {
  /** Names of the profiles that it is known of: the verdict under another one is a fail. Default: every profile. */
  profiles?: readonly string[];
  /** What the series does wrong, one line. */
  reason: string;
  /** Where that is written down. */
  source: string;
  /** What the failure says, if it is this one: another failure is a fail. Default: any. */
  cause?: RegExp;
  /** It hangs on how the kernel was built: a check that holds is a pass, and no surprise. Default false. */
  sometimes?: boolean;
}

/** One claim about a kernel, and how to find out whether it holds. */
export interface Check {
  /** Unique: the subject's name, a dot, and more words with dots: `payload.icr.vector`. */
  id: string;
  /** What is so on a kernel that is right: one line, a whole sentence without its full stop. */
  claim: string;
  /** Where the claim comes from: patch 2/3, SDM vol. 3 11.6.1, Documentation/virt/kvm/api.rst 4.46, ... */
  source: string;
  /** How long it may take, all guests together. Default 10 s. */
  deadline?: Duration;
  /** What it cannot do without: it is skipped, with the reason, where one of these is missing. */
  needs?: readonly Need[];
  /** It may take the kernel down: it runs with `--destructive` alone, and only in the lab. */
  destructive?: boolean;
  /** Known to fail: the verdict is xfail then, and xpass if it does not. Several: for a profile each. */
  shortfall?: Shortfall | readonly Shortfall[];
  /** Returns if the claim holds, and throws if it does not. */
  run(ctx: CheckContext): void | Promise<void>;
}

/** Checks about one subject: what a person would look for together. */
export interface Subject {
  /** One word; every check's id begins with it and a dot. */
  name: string;
  /** One line for people. */
  title: string;
  /** In the order in which they run, unless `--shuffle` changes it. */
  checks: readonly Check[];
}

export const DEFAULT_CHECK_DEADLINE = '10s';

/** With `--thorough` a check may take so many times as long. */
const THOROUGH_TIMES = 20;

/** How long a check may take, in ms. */
export function deadlineOf({ deadline = DEFAULT_CHECK_DEADLINE }: Pick<Check, 'deadline'>, thorough: boolean): number {
  return milliseconds(deadline) * (thorough ? THOROUGH_TIMES : 1);
}

const WORD = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;
const ONE_LINE = /^[^\s#](?:[^\n\r#]*[^\s#.])?$/;

/** A subject whose ids, claims and sources have the form that reports need; otherwise throws ArgumentError. */
export function subject(name: string, title: string, checks: readonly Check[]): Subject {
  if (!WORD.test(checkText('name', name))) throw refused('name', name, 'small letters, digits and hyphens');
  const checked = Array.from(checkList('checks', checks), (check) => checkCheck(name, check));
  return { name, title: checkText('title', title), checks: checked };
}

const need = shape<Need>('a need has', { name: text, missing: func() });
const oneShortfall = shape<Shortfall>('a shortfall has', {
  profiles: optional(listOf(oneOf([...profiles.keys()]))),
  reason: text,
  source: text,
  cause: optional(instance(RegExp)),
  sometimes: optional(boolean),
});
const shortfall: ValueCheck<Shortfall | readonly Shortfall[]> = Object.assign(
  (argument: string, value: unknown) => (Array.isArray(value) ? listOf(oneShortfall) : oneShortfall)(argument, value),
  { paths: oneShortfall.paths! },
);
const checkShape = shape<Check>('a check has', {
  id: text,
  claim: text,
  source: text,
  deadline: optional(duration),
  needs: optional(listOf(need)),
  destructive: optional(boolean),
  shortfall: optional(shortfall),
  run: func(),
});

function checkCheck(subjectName: string, given: Check): Check {
  const check = checkShape.take(given, 'check');
  const { id, claim, source } = check;
  const [first, ...words] = id.split('.');
  if (first !== subjectName || words.length === 0 || !words.every((word) => WORD.test(word)))
    throw refused('id', id, `'${subjectName}.' and words of small letters, digits and hyphens with dots between them`);
  for (const [what, text] of Object.entries({ claim, source }))
    if (!ONE_LINE.test(text)) throw refused(what, text, `one line without '#' and without a full stop (check ${id})`);
  for (const profile of profiles.keys())
    if (shortfallsOf(check).filter((one) => isOf(one, profile)).length > 1)
      throw new ArgumentError('shortfall', `${id} has two shortfalls for profile ${profile}`, 'Make it one.');
  return check;
}

/** The shortfalls of a check, whatever profile they are of. */
export function shortfallsOf({ shortfall = [] }: Pick<Check, 'shortfall'>): readonly Shortfall[] {
  return Array.isArray(shortfall) ? shortfall : [shortfall as Shortfall];
}

/** What a kernel of a profile is known to do wrong in a check. */
export function shortfallOf(check: Pick<Check, 'shortfall'>, profile: string): Shortfall | undefined {
  return shortfallsOf(check).find((one) => isOf(one, profile));
}

const isOf = ({ profiles: names }: Shortfall, profile: string) => names?.includes(profile) ?? true;

function refused(argument: string, value: string, wanted: string): ArgumentError {
  return new ArgumentError(argument, `${argument} '${value}' is not ${wanted}`, `Give ${wanted}.`);
}

/** One check per row: for what has a list of cases, such as the delivery modes. */
export function table<T>(rows: readonly T[], check: (row: T) => Check): Check[] {
  return rows.map(check);
}

/** Every check of some subjects by its id. Throws ArgumentError for an id that is there twice. */
export function checksById(subjects: readonly Subject[]): Map<string, Check> {
  const found = new Map<string, Check>();
  for (const check of subjects.flatMap(({ checks }) => checks)) {
    if (found.has(check.id))
      throw new ArgumentError('checks', `There are two checks with the id ${check.id}`, 'Rename one.');
    found.set(check.id, check);
  }
  return found;
}

/** The subject that an id belongs to. */
export function subjectOf(id: string): string {
  return id.slice(0, id.indexOf('.'));
}
