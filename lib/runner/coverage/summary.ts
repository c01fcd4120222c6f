/** How much of KVM a run has reached, file by file and patch by patch. */
import type { OriginsByFile } from '../../lab/kernel/line-origins.ts';
import { linesOfRanges, rangesOfLines, rangesText } from './line-set.ts';
import type { CoverageRecord, FileCoverage } from './record.ts';

/** So many lines of so many. */
export interface Reached {
  name: string;
  reached: number;
  of: number;
}

export interface CoverageSummary {
  /** KVM's local APIC and what delivers interrupts. */
  files: Reached[];
  /** By patch, or new file, of the series. */
  series: Reached[];
}

/** What is told as a whole, relative to the kernel's tree, without endings. */
export const toldFiles = ['lapic', 'irq_comm', 'ioapic', 'hyperv'].map((name) => `arch/x86/kvm/${name}`);

/** What the lab adds to the kernel, and no series brings: the switch for faults. */
const isOfLab = (origin: string) => /(^|\/)(fault|lab)\/|\/hooks-fault|\/dsm_fault/.test(origin);

/** What a file has of the series: its lines, by what brought them in. */
export function seriesLines(origins: OriginsByFile, file: string): Map<string, Set<number>> {
  return new Map(
    Object.entries(origins[file] ?? {})
      .filter(([origin]) => !isOfLab(origin))
      .map(([origin, ranges]) => [origin, new Set(linesOfRanges(ranges))]),
  );
}

function labLines(origins: OriginsByFile, file: string): Set<number> {
  const ranges = Object.entries(origins[file] ?? {}).flatMap(([origin, of]) => (isOfLab(origin) ? of : []));
  return new Set(linesOfRanges(ranges));
}

/** A file's lines that have code, but for those of the lab's switch for faults. */
function countedOf(record: CoverageRecord, origins: OriginsByFile, file: string): [line: number, checks: number][] {
  const lab = labLines(origins, file);
  return [...record.coverageOf(file).checks].filter(([line]) => !lab.has(line));
}

export function summaryOf(record: CoverageRecord, origins: OriginsByFile): CoverageSummary {
  const files = toldFiles
    .map((name) => `${name}.c`)
    .filter((file) => record.files.includes(file))
    .map((file) => reachedOf(file, countedOf(record, origins, file)));
  const series = new Map<string, [number, number][]>();
  for (const file of record.files) {
    const { checks } = record.coverageOf(file);
    for (const [origin, lines] of seriesLines(origins, file)) {
      const counted = [...checks].filter(([line]) => lines.has(line));
      if (counted.length > 0) series.set(origin, [...(series.get(origin) ?? []), ...counted]);
    }
  }
  return { files, series: [...series].sort().map(([origin, counted]) => reachedOf(origin, counted)) };
}

function reachedOf(name: string, counted: readonly (readonly [number, number])[]): Reached {
  return { name, reached: counted.filter(([, checks]) => checks > 0).length, of: counted.length };
}

/** The table, for a person. */
export function summaryText({ files, series }: CoverageSummary, places: readonly string[]): string {
  const rows = [...files, ...series];
  const width = Math.max(...rows.map(({ name }) => name.length));
  const row = ({ name, reached, of }: Reached) => {
    const share = of === 0 ? '-' : `${((100 * reached) / of).toFixed(1)} %`;
    return `  ${name.padEnd(width)}  ${String(reached).padStart(5)} of ${String(of).padStart(5)}  ${share.padStart(7)}\n`;
  };
  const part = (title: string, of: readonly Reached[]) => (of.length === 0 ? '' : `${title}\n${of.map(row).join('')}`);
  return (
    part(`lines that the checks reached (${places.join(', ')})`, files) +
    part('of these and of other files, what the series adds', series)
  );
}

/** What no check has reached: file by file, function by function. */
export function unreachedText(record: CoverageRecord, origins: OriginsByFile): string {
  let text = '';
  for (const file of record.files) {
    const isTold = toldFiles.some((name) => file === `${name}.c`);
    const series = new Set([...seriesLines(origins, file).values()].flatMap((lines) => [...lines]));
    const counted = countedOf(record, origins, file).filter(([line]) => isTold || series.has(line));
    const missed = counted.filter(([, checks]) => checks === 0).map(([line]) => line);
    if (missed.length === 0) continue;
    text += `${file}\n`;
    for (const [name, lines] of byFunction(record.coverageOf(file), missed)) {
      const whole = lines.length === record.coverageOf(file).functions.get(name)?.code.length;
      text += `  ${name || '(no function)'}: ${rangesText(rangesOfLines(lines))}${whole ? ', all of it' : ''}\n`;
    }
  }
  return text;
}

function byFunction({ functions }: FileCoverage, lines: readonly number[]): [string, number[]][] {
  const left = new Set(lines);
  const found: [string, number[]][] = [];
  for (const [name, { code }] of [...functions].sort(([, a], [, b]) => a.line - b.line)) {
    const of = code.filter((line) => left.delete(line));
    if (of.length > 0) found.push([name, of]);
  }
  return found;
}

/** Check by check: how many lines of each file it has reached, and which no other one has. */
export function checksText(record: CoverageRecord): string {
  const alone = new Map(
    record.files.map((file) => [
      file,
      new Set([...record.coverageOf(file).checks].flatMap(([line, checks]) => (checks === 1 ? [line] : []))),
    ]),
  );
  let text = '';
  for (const { place, check, ran } of record.each()) {
    const counts = Object.entries(ran).map(([file, ranges]) => `${file} ${[...linesOfRanges(ranges)].length}`);
    text += `${place} ${check}: ${counts.join(', ') || 'nothing'}\n`;
    for (const [file, ranges] of Object.entries(ran)) {
      const own = [...linesOfRanges(ranges)].filter((line) => alone.get(file)?.has(line));
      if (own.length > 0) text += `  it alone: ${file}: ${rangesText(rangesOfLines(own))}\n`;
    }
  }
  return text;
}
