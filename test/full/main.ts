/**
 * `npm run full`: one file of test/full after the other. Standard output has what is run, since when, and what became of it;
 * docs/testing.md gets a row for each test. Names of files, or parts of them, choose some; the rows of the others stay.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { run } from 'node:test';
import { elapsed } from '../../lib/lab/progress.ts';
import { root } from '../support/command.ts';

/** What became of one test. */
interface Row {
  file: string;
  name: string;
  result: string;
}

const begins = '<!-- npm run full writes from here -->\n';
const ends = '<!-- to here -->\n';
const document = join(root, 'docs/testing.md');
const here = join(root, 'test/full');

const wanted = process.argv.slice(2);
const all = readdirSync(here)
  .filter((name) => name.endsWith('.test.ts'))
  .sort();
const files = all.filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)));
const began = performance.now();
const say = (words: string) => process.stdout.write(`${elapsed(performance.now() - began).padStart(7)}  ${words}\n`);

if (files.length === 0) {
  process.stderr.write(`No file of test/full is named by ${wanted.join(', ')}: there are ${all.join(', ')}\n`);
  process.exit(2);
}
const load = loadavg()[0]!;
const rows: Row[] = [];
for (const [index, file] of files.entries()) {
  const place = `${file} (${index + 1} of ${files.length})`;
  for await (const { type, data } of run({ files: [join(here, file)], concurrency: 1 })) {
    // Of Node.js 20 the file is a test as well.
    if (type !== 'test:start' && type !== 'test:pass' && type !== 'test:fail') continue;
    if (data.name.endsWith(file)) continue;
    if (type === 'test:start') say(`${place}: ${data.name}`);
    else if (data.details.type !== 'suite') {
      const time = elapsed(data.details.duration_ms);
      const skipped = data.skip === undefined ? undefined : `skipped: ${data.skip}`;
      const result = skipped ?? `${type === 'test:pass' ? 'passed' : 'FAILED'} in ${time}`;
      rows.push({ file, name: data.name, result });
      say(`${place}: ${data.name}: ${result}`);
      if (type === 'test:fail') process.stdout.write(`${String(data.details.error.cause ?? data.details.error)}\n`);
    }
    write(file);
  }
}
const failed = rows.filter(({ result }) => result.startsWith('FAILED')).length;
say(`${rows.length} tests, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);

/** The rows of a file take the place of what it had; an end before its time leaves those of the files that are done. */
function write(file: string): void {
  const text = readFileSync(document, 'utf8');
  const [from, to] = [text.indexOf(begins) + begins.length, text.indexOf(ends)];
  const old = text.slice(from, to).split('\n').slice(2).filter(Boolean);
  const others = old.filter((line) => !line.startsWith(`| \`${file}\` `));
  const machine = `${availableParallelism()} CPUs, load ${load.toFixed(0)} at the start`;
  const own = rows
    .filter((row) => row.file === file)
    .map(({ name, result }) => `| \`${file}\` | ${name.replaceAll('|', '\\|')} | ${result} | ${machine} |`);
  const head = ['| file | test | result | on |', '|---|---|---|---|'];
  const body = [...head, ...[...others, ...own].sort()].join('\n');
  writeFileSync(document, `${text.slice(0, from)}${body}\n${text.slice(to)}`);
}
