/** The report for a person at a terminal. */
import { defaultProfile } from '../../abi/dsm/profiles.ts';
import type { Colour } from '../../base/text.ts';
import { subjectOf } from '../check.ts';
import { type Result, type Verdict, verdicts } from '../run/judge.ts';
import { checkOf, nameOf } from '../run/plan.ts';
import type { Item } from '../run/protocol.ts';
import { type Head, interruptedText, type Reporter, type RowsReporter, type Summary } from '../run/reporter.ts';
import { injectionText, rowText } from './head.ts';
import { SoFar } from './so-far.ts';

/** Where a report for a person goes. */
export interface Screen {
  write(text: string): void;
  paint(colour: Colour, text: string): string;
  /** The columns of a terminal, which can take a line back; 0 for a file or a pipe. */
  columns: number;
  /** Only failures and totals. Default false. */
  quiet?: boolean;
  /** How far it is is shown elsewhere. Default false. */
  hasProgress?: boolean;
}

const colours: Record<Verdict, Colour> = { pass: 'green', fail: 'red', skip: 'dim', xfail: 'yellow', xpass: 'yellow' };

/** A check that takes so many seconds is told of, and again after as many. */
const HEARTBEAT = 10;

/** The parameters that decide what becomes of an ICR write; the other reports have all. */
const DECIDING = /\.(?:enable_apicv|enable_ipiv|avic|flexpriority|ept|npt|unrestricted_guest|nested)$/;

/** For a person: a line per check as it ends, what failed and where the time went at the end. */
export function specReporter({ write, paint, columns, quiet = false, hasProgress = false }: Screen): Reporter {
  let head: Head;
  let subject = '';
  let soFar = new SoFar(0);
  let status = '';
  const show = (line: string) => {
    if (columns === 0 || quiet) return;
    status = line.slice(0, columns - 1);
    write(`\r\x1b[K${paint('dim', status)}`);
  };
  const say = (text: string) => {
    if (status !== '') write('\r\x1b[K');
    status = '';
    write(`${text}\n`);
  };
  const progress = (item: Item, seconds = 0) => soFar.words(nameOf(item, head.repeat), seconds);
  return {
    head(given) {
      head = given;
      soFar = new SoFar(head.items.length);
      if (!quiet) for (const line of headText(head)) say(line);
    },
    start(item) {
      show(progress(item));
    },
    end(item, result) {
      soFar.end(result.verdict === 'fail');
      if (quiet) return;
      const name = subjectOf(item.id);
      if (name !== subject) say(`\n${paint('bold', name)}`);
      subject = name;
      const mark = paint(colours[result.verdict], result.verdict.padEnd(5));
      const time = result.verdict === 'skip' ? '' : paint('dim', `  ${duration(result.ms)}`);
      say(`  ${mark} ${nameOf(item, head.repeat)}${time}`);
      if (result.reason !== null) say(`        ${paint(result.verdict === 'fail' ? 'red' : 'dim', result.reason)}`);
    },
    note(text) {
      say(`${paint('yellow', 'note')}: ${text}`);
    },
    tick(item, seconds) {
      if (columns > 0) show(progress(item, seconds));
      else if (!quiet && !hasProgress && seconds > 0 && seconds % HEARTBEAT === 0)
        say(`  ... ${nameOf(item, head.repeat)} runs for ${seconds} s`);
    },
    done(summary) {
      for (const line of summaryText(summary, head, paint, quiet)) say(line);
    },
  };
}

/** Section after section, and a table of the totals at the end. */
export function specRows(screen: Screen): RowsReporter {
  const { write, paint } = screen;
  const names: string[] = [];
  return {
    row(row) {
      if (names.length > 0) write('\n');
      names.push(row.name);
      write(`${paint('bold', `=== ${rowText(row)} ===`)}\n`);
      return specReporter(screen);
    },
    done(summaries) {
      const cells = summaries.map(({ totals }, n) => [names[n]!, ...verdicts.map((verdict) => `${totals[verdict]}`)]);
      const table = [['variant', ...verdicts], ...cells];
      const width = Math.max(...table.map(([name]) => name!.length));
      write('\n');
      for (const [name, ...counts] of table)
        write(`${name!.padEnd(width)}${counts.map((count) => count.padStart(7)).join('')}\n`);
    },
  };
}

function headText({
  facts,
  variant,
  package: version,
  seed,
  repeat,
  shuffle,
  strict,
  thorough,
  items,
}: Head): string[] {
  const wanted = facts.config?.lines.filter((line) =>
    /DSM|KVM_INTEL=|KVM_AMD=|PREEMPT(?:_NONE|_VOLUNTARY)?=/.test(line),
  );
  const parameters = Object.entries(facts.parameters).filter(
    ([name]) => name.startsWith(`${facts.module}.`) && DECIDING.test(name),
  );
  const modes = [
    shuffle ? 'shuffled' : '',
    repeat > 1 ? `${repeat} rounds` : '',
    strict ? 'strict' : '',
    thorough ? 'thorough' : '',
  ];
  const rows: [string, string][] = [
    ['on', facts.on === 'host' ? 'this host' : `the ${facts.on} lab`],
    ...(variant ? [['variant', rowText(variant)] satisfies [string, string]] : []),
    ['kernel', `${facts.kernel} ${facts.build}`],
    ['config', facts.config ? `${wanted?.join(' ') || 'nothing of KVM'} (${facts.config.source})` : 'cannot be read'],
    ['cpu', `${facts.cpu}, ${facts.cpus} online`],
    [
      'kvm',
      parameters.map(([name, value]) => `${name}=${value}`).join(' ') || 'neither kvm_intel nor kvm_amd runs guests',
    ],
    ['forwards', `${facts.forwards ? 'ICR writes come out' : 'no'}; injection ioctls ${injectionText(facts)}`],
    ['checks', [`${items.length}`, `seed ${seed}`, ...modes.filter((mode) => mode !== '')].join(', ')],
  ];
  return [
    `kvm-dsm ${version}, profile ${facts.profile}`,
    ...rows.map(([name, value]) => `  ${name.padEnd(9)}${value}`),
  ];
}

function summaryText(
  { totals, ms, slowest, results, interrupted }: Summary,
  head: Head,
  paint: Screen['paint'],
  quiet: boolean,
): string[] {
  const failed = results.filter(({ result }) => result.verdict === 'fail');
  const lines = failed.length > 0 ? ['', paint('bold', 'failed')] : [''];
  if (quiet) lines.shift();
  for (const { item, result } of failed) lines.push(...failureText(item, result, head, paint));
  if (failed.length > 0) lines.push('');
  const parts = verdicts.map((verdict) => {
    const text = `${totals[verdict]} ${verdict}`;
    return totals[verdict] > 0 ? paint(colours[verdict], text) : text;
  });
  lines.push(parts.join(', '));
  const rest = ms.all - ms.untilFirstCheck - ms.inChecks;
  const between = rest < 0 ? 'several at a time' : `${duration(rest)} between them`;
  if (!quiet)
    lines.push(
      `time: ${duration(ms.all)}, of which ${duration(ms.untilFirstCheck)} until the first check, ${duration(ms.inChecks)} in checks, ${between}`,
    );
  if (slowest.length > 0 && !quiet)
    lines.push(`slowest: ${slowest.map((one) => `${nameOf(one.item, head.repeat)} ${duration(one.ms)}`).join(', ')}`);
  if (interrupted) lines.push(paint('red', interruptedText(interrupted, results.length)));
  if (failed.length > 0) lines.push(`again: kvm-dsm test ${againOptions(head, failed[0]!.item)}`);
  return lines;
}

function againOptions({ facts, variant, seed, strict, thorough, place, checks }: Head, { id }: Item): string {
  const named = facts.profile === defaultProfile.name ? [] : [`--profile ${facts.profile}`];
  const flags = [
    ...named,
    ...(strict ? ['--strict'] : []),
    ...(thorough ? ['--thorough'] : []),
    ...(checks.get(id)?.destructive ? ['--destructive'] : []),
  ];
  const row = variant ? [`--variant ${variant.name}`] : [];
  return [id, `--on ${facts.on}`, ...row, `--seed ${seed}`, ...flags, ...(place ? [place] : [])].join(' ');
}

function failureText(item: Item, { reason, detail }: Result, head: Head, paint: Screen['paint']): string[] {
  const { claim, source } = checkOf(head.checks, item);
  return [
    `  ${paint('red', nameOf(item, head.repeat))}`,
    `    claim: ${claim} (${source})`,
    `    ${reason}`,
    ...detail
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => `      ${line}`),
  ];
}

function duration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
