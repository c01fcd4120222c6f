import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { kvmDsm, root } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';

const documents = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => join('docs', name))];

/** The lines of the shell blocks of a document. */
function commandsOf(document: string): string[] {
  const text = readFileSync(join(root, document), 'utf8');
  return [...text.matchAll(/^```sh\n(.*?)^```/gms)].flatMap(([, block]) => block!.trim().split('\n'));
}

const commands = new Set(documents.flatMap(commandsOf));

test('the README shows the two commands that set everything up', () => {
  for (const command of ['npm ci && npm start', 'npm ci && npm test']) assert.ok(commands.has(command), command);
});

test('every command of the documentation is run here, or is one of these two', () => {
  const others = [...commands].filter((command) => !command.startsWith('npx kvm-dsm '));
  assert.deepEqual(others.sort(), ['npm ci && npm start', 'npm ci && npm test']);
});

for (const command of commands) {
  if (!command.startsWith('npx kvm-dsm ')) continue;
  const args = command.split(' ').slice(2);
  const lab = args.includes('--on') ? labMissing() : false;
  test(command, { skip: lab }, () => {
    const { code, stdout, stderr } = kvmDsm(args, 300);
    assert.equal(code, 0, stdout + stderr);
  });
}

test('the example in the README is what the first example does', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const example = readFileSync(join(root, 'examples/first-ipi.ts'), 'utf8');
  const words = (text: string): string[] => text.match(/0x[0-9a-f_]+|KVM_EXIT_\w+|'ICR2?'/g) ?? [];
  const shown = words(/```ts\n(.*?)```/s.exec(readme)![1]!);
  for (const word of shown) assert.ok(words(example).includes(word), `${word} is in examples/first-ipi.ts`);
});
