/** The run of an image as KTAP, or as one JSON document. */
import { jsonText, printable } from '../base/text.ts';
import { forwardsIpi } from '../exit/dsm.ts';
import { type KutResult, resultIn, verdictOf } from './results.ts';
import type { KutEnd } from './vmm.ts';

export interface KutHead {
  /** The image's name, without `.flat`. */
  name: string;
  on: string;
  kernel: string;
  cpus: number;
  commandLine: string;
}

export interface KutReporter {
  line(text: string): void;
  done(end: KutEnd): void;
}

/** A test whose subtests are the image's results, in the order in which it prints them; the rest of its words are diagnostics. */
export function ktapReporter(head: KutHead, write: (text: string) => void): KutReporter {
  const results: KutResult[] = [];
  const rows: string[] = [];
  return {
    line(text) {
      const result = resultIn(text);
      if (result) results.push(result);
      rows.push(result ? point(result, results.length) : `# ${plain(text)}`);
    },
    done(end) {
      const verdict = verdictOf(end.code);
      // Its plan is known when it has ended.
      const below = [
        'KTAP version 1',
        `# Subtest: ${head.name}`,
        ...(results.length > 0 ? [`1..${results.length}`] : []),
        ...rows,
      ];
      write(
        [
          'KTAP version 1',
          `# on: ${head.on}, Linux ${head.kernel}`,
          `# image: ${plain(head.commandLine)}, ${head.cpus} vCPUs`,
          '1..1',
          ...below.map((row) => `  ${row}`),
          ...[...(end.why === null ? [] : [end.why]), ...end.notes].map((text) => `# ${plain(text)}`),
          `# exits: ${exitsText(end)}`,
          `${verdict === 'fail' ? 'not ok' : 'ok'} 1 ${head.name}${verdict === 'skip' ? ' # SKIP' : ''}${end.code === null ? ' # ERROR' : ''}`,
          '',
        ].join('\n'),
      );
    },
  };
}

/** In the kernel's words; a failure that is expected is none. */
function point({ name, verdict }: KutResult, number: number): string {
  const directive = verdict === 'skip' ? ' # SKIP' : verdict === 'xfail' ? ' # XFAIL' : '';
  const ok = verdict === 'fail' || verdict === 'xpass' ? 'not ok' : 'ok';
  return `${ok} ${number} ${plain(name.replaceAll('#', ''))}${directive}`;
}

function plain(text: string): string {
  return printable(text).replace(/\s+/g, ' ').trim();
}

function exitsText({ exits }: KutEnd): string {
  const forwarded = [...exits].filter(([name]) => forwardsIpi({ name, reason: 0 }));
  const sum = (list: Iterable<[string, number]>) => [...list].reduce((all, [, count]) => all + count, 0);
  return `${sum(exits)}, ${sum(forwarded)} of them forwarded ICR writes`;
}

export function jsonReporter(head: KutHead, write: (text: string) => void): KutReporter {
  const results: KutResult[] = [];
  const output: string[] = [];
  return {
    line(text) {
      output.push(text);
      const result = resultIn(text);
      if (result) results.push(result);
    },
    done({ code, why, exits, notes }) {
      const document = {
        version: 1,
        ...head,
        verdict: verdictOf(code),
        code,
        why,
        results,
        exits: Object.fromEntries(exits),
        notes,
        output,
      };
      write(`${jsonText(document, 2)}\n`);
    },
  };
}
