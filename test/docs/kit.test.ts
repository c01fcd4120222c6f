import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../support/command.ts';

const page = readFileSync(join(root, 'docs/kit.md'), 'utf8');

test('the first script of the page on the kit is the example that it names', () => {
  const [, shown] = /^```ts\n(.*?)^```/ms.exec(page)!;
  const example = readFileSync(join(root, 'examples/handled.ts'), 'utf8');
  assert.equal(shown, example.replace(/^(\/\/.*\n)+/, ''));
});

test('the live hook of the page is the example', () => {
  const example = readFileSync(join(root, 'examples/on-exit.ts'), 'utf8').replace(/^(\/\/.*\n)+/, '');
  assert.ok(page.includes(`\`\`\`ts\n${example}\`\`\``));
});
