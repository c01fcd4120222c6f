/** Every file of this checkout that a page names is there, and every link leads to a file and to a heading of it. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { test } from 'node:test';
import GithubSlugger from 'github-slugger';
import { root } from '../support/command.ts';
import { pages, pageText } from '../support/pages.ts';

/** In code: `lib/kvm/vm/vm.ts`, `lib/kvm/{vm,vcpu}`. `<...>` and `*` stand for names of the reader's own. */
const inCode = /`((?:lib|native|test|tools|kernel|examples|bench|docs)\/[^`\s]*)`/g;
/** Links to files and headings: `[the kit](kit.md#running)`. */
const links = /\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g;

const withoutBlocks = (page: string): string => pageText(page).replaceAll(/^```.*?^```$/gms, '');

for (const page of pages)
  test(`${page} names files that are there, and links to headings that are there`, () => {
    // A page about patches names files of the kernel's tree.
    const named = page.startsWith('kernel/') ? [] : [...pageText(page).matchAll(inCode)];
    const paths = named.flatMap(([, path]) => alternatives(path!));
    const missing = paths.filter((path) => !/[<*]/.test(path) && !existsSync(join(root, path)));
    assert.deepEqual(missing, []);
    const broken = linksOf(page).filter(({ path, anchor }) => !leads(path, anchor));
    assert.deepEqual(broken, []);
  });

test('every page of docs/ can be reached from the README by links', () => {
  const reached = new Set(['README.md']);
  for (const page of reached)
    for (const { path } of linksOf(page)) if (pages.includes(path) && !reached.has(path)) reached.add(path);
  assert.deepEqual(
    pages.filter((page) => page.startsWith('docs/') && !reached.has(page)),
    [],
  );
});

test('a link that leads elsewhere is encrypted', () => {
  const plain = pages.flatMap((page) => withoutBlocks(page).match(/\]\(http:[^)]*\)/g) ?? []);
  assert.deepEqual(plain, []);
});

function linksOf(page: string): { path: string; anchor: string | undefined }[] {
  return [...withoutBlocks(page).matchAll(links)].map(([, path, anchor]) => ({
    path: path === '' ? page : normalize(join(page, '..', path!)),
    anchor,
  }));
}

function leads(path: string, anchor: string | undefined): boolean {
  if (!existsSync(join(root, path))) return false;
  return anchor === undefined || (path.endsWith('.md') && anchorsOf(path).has(anchor));
}

/** What GitHub makes of the headings. */
function anchorsOf(page: string): Set<string> {
  const slugger = new GithubSlugger();
  const headings = withoutBlocks(page).matchAll(/^#{1,6} +(.*)$/gm);
  return new Set([...headings].map(([, words]) => slugger.slug(words!.replaceAll('`', ''))));
}

function alternatives(path: string): string[] {
  const group = /\{([^}]*)\}/.exec(path);
  if (!group) return [path];
  const [whole, inner] = group;
  return inner!.split(',').flatMap((one) => alternatives(path.replace(whole, one)));
}
