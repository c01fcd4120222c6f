import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { LaneName } from '../../lib/lab/index.ts';
import { type CommandResult, kvmDsm, root, runProgram } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';
import { longCommands } from '../support/long-commands.ts';
import { machineUp } from '../support/machine-up.ts';
import { fencesOf, pages } from '../support/pages.ts';
import { snippets } from '../support/snippets.ts';

const documents = pages.filter((page) => page === 'README.md' || page.startsWith('docs/'));

/** For the documents' programs. */
const folder = mkdtempSync(join(tmpdir(), 'kvm-dsm-docs-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** The lines of the shell blocks of a document. */
function commandsOf(document: string): string[] {
  return fencesOf(document).flatMap(({ info, text }) => (info === 'sh' ? text.trim().split('\n') : []));
}

const commands = new Set(documents.flatMap(commandsOf));

/** They set up everything: continuous integration starts with the one, and its tests are the other. */
const setUp = ['npm ci && npm start', 'npm ci && npm test'];

test('the README shows the two commands that set everything up', () => {
  for (const command of setUp) assert.ok(commands.has(command), command);
});

test('what is left to npm run full is in a document', () => {
  for (const command of longCommands.keys()) assert.ok(commands.has(command), command);
});

test('the quick look that npm test tells of finds tests, whatever this version of Node.js makes of patterns', () => {
  const words = shell('node tools/how-long.mjs test').stderr;
  const [, files] = /A quick look.*: node --import tsx --test (.*)\n/.exec(words) ?? [];
  assert.ok(files, words);
  for (const file of shell(`printf '%s\\n' ${files}`).stdout.trim().split('\n'))
    assert.ok(existsSync(join(root, file)), file);
});

const argsOf = (command: string) => command.split(' ').slice(2);
const laneOf = (command: string) => /^npx kvm-dsm .*--on (svm|vmx)\b/.exec(command)?.[1] as LaneName | undefined;
const ofLane = (lane: string | undefined) => [...commands].filter((command) => laneOf(command) === lane);

for (const command of [...ofLane(undefined), ...ofLane('svm')]) tryCommand(command);
for (const { page, line, text, file } of snippets.filter(({ kind }) => kind === 'program'))
  test(`the program at ${page}:${line}`, { skip: labMissing() }, () => {
    machineUp('svm');
    const script = join(folder, file);
    writeFileSync(script, text);
    const { code, stdout, stderr } = kvmDsm(['run', script, '--on', 'svm'], 300);
    assert.equal(code, 0, stdout + stderr);
  });
for (const command of ofLane('vmx')) tryCommand(command);

function tryCommand(command: string): void {
  if (setUp.includes(command) || longCommands.has(command)) return;
  const args = argsOf(command);
  const lab = args.includes('--on') ? labMissing() : false;
  test(command, { skip: lab }, () => {
    const lane = laneOf(command);
    if (lane !== undefined && args[0] !== 'lab') machineUp(lane);
    const { code, stdout, stderr } = command.startsWith('npx kvm-dsm ') ? kvmDsm(args, 300) : shell(command);
    assert.equal(code, 0, stdout + stderr);
  });
}

function shell(command: string): CommandResult {
  return runProgram('sh', ['-c', command], 120);
}

test('the example in the README is what the first example does', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const example = readFileSync(join(root, 'examples/first-ipi.ts'), 'utf8');
  const words = (text: string): string[] => text.match(/0x[0-9a-f_]+|KVM_EXIT_\w+|'ICR2?'/g) ?? [];
  const shown = words(/```ts\n(.*?)```/s.exec(readme)![1]!);
  for (const word of shown) assert.ok(words(example).includes(word), `${word} is in examples/first-ipi.ts`);
});
