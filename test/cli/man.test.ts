/** The manual page that npm installs: it is made from the program, and a formatter has nothing to say about it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { Command } from 'commander';
import { commandLine } from '../../lib/cli/program.ts';
import { root, runProgram } from '../support/command.ts';
import { testFolder } from '../support/test-folder.ts';

const { man } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { man: string };
const path = join(root, man);
const page = gunzipSync(readFileSync(path)).toString();

const noGroff = spawnSync('groff', ['--version']).status !== 0 && 'no groff';

test('every command and every option of it is in the page', async () => {
  const program = await commandLine(() => {});
  const help = program.createHelp();
  const sections = page.replaceAll('\\-', '-').split(/^\.S[SH] /m);
  const look = (command: Command, name: string): void => {
    const section = sections.find((part) => part.startsWith(`"${name} `));
    if (help.visibleCommands(command).length === 0) {
      assert.ok(section, name);
      for (const { flags, long } of help.visibleOptions(command))
        if (long !== '--help') assert.ok(section.includes(`.B "${flags}"`), `${name} ${flags}`);
    }
    for (const sub of help.visibleCommands(command)) if (sub.name() !== 'help') look(sub, `${name} ${sub.name()}`);
  };
  for (const command of program.commands) look(command, `kvm-dsm ${command.name()}`);
});

test('groff formats it without a warning', { skip: noGroff }, () => {
  const plain = join(testFolder(), 'kvm-dsm.1');
  writeFileSync(plain, page);
  const { code, stdout, stderr } = runProgram('groff', ['-man', '-Tutf8', '-ww', plain], 30);
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: groff's own, for bold and underlined text
  const words = stdout.replaceAll(/\u001b\[[\d;]*m|.\u0008/g, '').replaceAll(/\s+/g, ' ');
  for (const part of [
    'NAME kvm-dsm - ',
    'kvm-dsm lab build',
    '--cmdline <text>',
    'EXIT STATUS',
    'kvm-dsm init ipi-tests',
  ])
    assert.ok(words.includes(part), part);
});
