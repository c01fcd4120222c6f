/**
 * Commands of this package that pages show without a test that runs them, since they need a tree, an image or a host of the
 * reader's: the program has that command, and it takes these options.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Command } from 'commander';
import { commandLine } from '../../lib/cli/program.ts';
import { fencesOf, pages } from '../support/pages.ts';

/** In any block, and `kvm-dsm test ...` within a line of text. */
function shownIn(page: string): string[] {
  const blocks = fencesOf(page).filter(({ info }) => !info.startsWith('ts'));
  return blocks.flatMap(({ text }) => [...text.matchAll(/^ *(?:\$ )?npx (kvm-dsm .*)$/gm)].map(([, words]) => words!));
}

/** What the program would refuse of a command line; undefined if it takes it. */
function refused(program: Command, line: string): string | undefined {
  const [, ...words] = line.replace(/ && .*$| # .*$/, '').split(/\s+/);
  let command = program;
  while (words[0] !== undefined) {
    const next = command.commands.find((sub) => sub.name() === words[0]);
    if (!next) break;
    command = next;
    words.shift();
  }
  if (command.commands.length > 0 && words[0] !== '--help') return `no command ${words[0]}`;
  const end = words.indexOf('--');
  const options = words.slice(0, end === -1 ? undefined : end).filter((word) => /^--?[a-z]/.test(word));
  const unknown = options.filter(
    (word) => !command.options.some(({ long, short }) => [long, short].includes(word.split('=')[0]!)),
  );
  return unknown.length > 0 ? `no option ${unknown.join(', ')} of ${command.name()}` : undefined;
}

test('every command that is shown is one, with options that it has', async () => {
  const program = await commandLine(() => {});
  const shown = pages.flatMap((page) => shownIn(page).map((line) => ({ page, line })));
  assert.ok(shown.length >= 50, `${shown.length} commands`);
  const wrong = shown
    .map((one) => ({ ...one, why: refused(program, one.line) }))
    .filter(({ why }) => why !== undefined);
  assert.deepEqual(wrong, []);
  assert.equal(refused(program, 'kvm-dsm run x.ts --onn svm'), 'no option --onn of run');
  assert.equal(refused(program, 'kvm-dsm lab biuld'), 'no command biuld');
});
