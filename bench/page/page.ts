// docs/performance.md and its plot, from what the bench said.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Figure, show } from '../figures/figure.ts';
import { time } from '../table.ts';
import type { Measured } from '../turns.ts';
import { type Bar, plot } from './plot.ts';
import { figureMeaning, meaning } from './words.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
export const results = join(root, 'bench/results');
export const page = join(root, 'docs/performance.md');
export const picture = join(root, 'docs/performance.svg');

/** What stands before the tables, up to and with this line, is written by hand. */
export const MARK = '<!-- What follows is made by npm run docs:performance. -->\n';

interface Counted {
  readonly name: string;
  readonly counted: string;
  readonly c: number;
  readonly js: number;
}

/** The lines of one file of results that have that key; none if there is no such file. */
function linesOf<T>(name: string, key: string): T[] {
  const path = join(results, `${name}.jsonl`);
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line)).filter((line) => key in line);
}

const measuredOf = (name: string) => linesOf<Measured>(name, 'wall');
const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
const head = (cells: readonly string[]) => [row(cells), `|---|${'---|'.repeat(cells.length - 1)}`];
const withAim = (ratio: number, aim: number | undefined) => {
  const text = ratio.toFixed(2);
  return aim !== undefined && ratio > aim ? `**${text}**` : text;
};

/** Everything behind the mark. */
export function madePart(): string {
  return ['', ...overhead(), ...place('host'), ...place('svm'), ...place('vmx'), ...figures(), ''].join('\n');
}

export function madePicture(): string {
  const bars: Bar[] = measuredOf('overhead').map(({ name, cpu, aim }) => ({ name, ratio: cpu.ratio, aim }));
  return plot('CPU time of one, as a multiple of C (red: the aim)', bars);
}

function overhead(): string[] {
  const calls = new Map(linesOf<Counted>('calls', 'counted').map((one) => [one.name, one]));
  const counted = (one: Counted | undefined) =>
    one === undefined ? '' : [one.c, one.js].map((count) => count.toFixed(1)).join(', ');
  const rows = measuredOf('overhead').map((one) => {
    const { name, unit, aim, cpu, wall } = one;
    return row([
      `\`${name}\` (${unit})`,
      meaning[name]!,
      time(cpu.reference),
      time(cpu.ours),
      withAim(cpu.ratio, aim),
      cpu.spread.map((ratio) => ratio.toFixed(2)).join(' to '),
      cpu.least.toFixed(2),
      wall.ratio.toFixed(2),
      aim?.toString() ?? '',
      counted(calls.get(name)),
    ]);
  });
  const columns = [
    'case',
    'means',
    'C',
    'JavaScript',
    'ratio',
    'middle half',
    'of the least',
    'by the clock',
    'aim',
    'calls: C, JavaScript',
  ];
  return ["## User space's own share", '', '![Ratios](performance.svg)', '', ...head(columns), ...rows, ''];
}

function place(name: 'host' | 'svm' | 'vmx'): string[] {
  const found = measuredOf(name);
  if (found.length === 0) return [];
  const titles = { host: 'On a /dev/kvm', svm: 'In the svm lane', vmx: 'In the vmx lane' };
  const rows = found.map((one) =>
    row([
      `\`${one.name}\` (${one.unit})`,
      time(one.wall.reference),
      time(one.wall.ours),
      one.wall.ratio.toFixed(2),
      one.wall.spread.map((ratio) => ratio.toFixed(2)).join(' to '),
      one.cpu.ratio.toFixed(2),
    ]),
  );
  const columns = ['case', 'C', 'JavaScript', 'ratio', 'middle half', 'CPU time'];
  return [`## ${titles[name]}`, '', ...head(columns), ...rows, ''];
}

function figures(): string[] {
  const found = linesOf<{ figure: Figure }>('figures', 'figure').map(({ figure }) => figure);
  if (found.length === 0) return [];
  const rows = found.map((one) => {
    const missed = one.aim !== undefined && one.value > one.aim;
    return row([
      one.what,
      figureMeaning[one.name]!,
      missed ? `**${show(one)}**` : show(one),
      one.aim === undefined ? '' : show({ value: one.aim, unit: one.unit }),
    ]);
  });
  return ['## Memory and start', '', ...head(['what', 'means', 'figure', 'aim']), ...rows];
}
