/** Every file of this checkout that a page names is there. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../support/command.ts';

const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs')).map((name) => join('docs', name)),
  join('bench', 'README.md'),
];

/** In code: `lib/kvm/vm/vm.ts`, `lib/kvm/{vm,vcpu}`. `<...>` and `*` stand for names of the reader's own. */
const inCode = /`((?:lib|native|test|tools|kernel|examples|bench|docs)\/[^`\s]*)`/g;
/** Links to files: `[kit.md](kit.md)`. */
const links = /\]\((?!https?:)([^)#\s]+)/g;

for (const page of pages)
  test(`${page} names files that are there`, () => {
    const text = readFileSync(join(root, page), 'utf8');
    const named = [...text.matchAll(inCode)].flatMap(([, path]) => alternatives(path!));
    const linked = [...text.matchAll(links)].map(([, path]) => join(page, '..', path!));
    const missing = [...named, ...linked].filter((path) => !/[<*]/.test(path) && !existsSync(join(root, path)));
    assert.deepEqual(missing, []);
  });

function alternatives(path: string): string[] {
  const group = /\{([^}]*)\}/.exec(path);
  if (!group) return [path];
  const [whole, inner] = group;
  return inner!.split(',').flatMap((one) => alternatives(path.replace(whole, one)));
}
